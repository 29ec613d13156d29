// SPDX-License-Identifier: MIT
#include "base/statistics/geometric_mean.hpp"

#include <algorithm>
#include <cmath>

namespace evictlab {

double log_divergence(double divergence) { return std::log(std::max(divergence, least_divergence)); }

double mean_log(std::span<const double> divergences) {
    double sum = 0;
    for (const double each : divergences) sum += log_divergence(each);
    return sum / static_cast<double>(divergences.size());
}

double geometric_mean(std::span<const double> divergences) { return std::exp(mean_log(divergences)); }

std::vector<double> geometric_means(std::span<const std::vector<double>> by_document) {
    std::vector<double> means(by_document.front().size(), 0.0);
    for (const auto& document : by_document)
        for (std::size_t r = 0; r < means.size(); ++r) means[r] += log_divergence(document[r]);
    for (double& mean : means) mean = std::exp(mean / static_cast<double>(by_document.size()));
    return means;
}

} // namespace evictlab
