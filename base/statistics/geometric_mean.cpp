// SPDX-License-Identifier: MIT
#include "base/statistics/geometric_mean.hpp"

#include <algorithm>
#include <cmath>

namespace evictlab {
namespace {

constexpr double least = 1e-9;

double log_of(double divergence) { return std::log(std::max(divergence, least)); }

} // namespace

double mean_log(std::span<const double> divergences) {
    double sum = 0;
    for (const double each : divergences) sum += log_of(each);
    return sum / static_cast<double>(divergences.size());
}

std::vector<double> geometric_means(std::span<const std::vector<double>> by_document) {
    std::vector<double> means(by_document.front().size(), 0.0);
    for (const auto& document : by_document)
        for (std::size_t r = 0; r < means.size(); ++r) means[r] += log_of(document[r]);
    for (double& mean : means) mean = std::exp(mean / static_cast<double>(by_document.size()));
    return means;
}

} // namespace evictlab
