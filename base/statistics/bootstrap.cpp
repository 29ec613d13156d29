// SPDX-License-Identifier: MIT
#include "base/statistics/bootstrap.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <stdexcept>

#include "base/statistics/geometric_mean.hpp"
#include "base/statistics/philox.hpp"

namespace evictlab {
namespace {

constexpr std::uint64_t seed = 95;

double plain_mean(std::span<const double> values) {
    return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

/// The value below which this share of the sorted ones lies, between two of them by their distance (type 7 of Hyndman
/// and Fan 1996, as NumPy's default).
double quantile(std::span<const double> sorted, double share) {
    const double place = share * static_cast<double>(sorted.size() - 1);
    const auto below = static_cast<std::size_t>(place);
    const auto above = std::min(below + 1, sorted.size() - 1);
    return sorted[below] + (place - static_cast<double>(below)) * (sorted[above] - sorted[below]);
}

/// Sorts them.
Interval interval_of(std::vector<double>& drawn) {
    std::ranges::sort(drawn);
    return {quantile(drawn, 0.025), quantile(drawn, 0.975)};
}

} // namespace

Bootstrap::Bootstrap(std::size_t documents) : documents_(documents) {
    if (documents < 2) return;
    drawn_.reserve(draws * documents);
    for (std::uint32_t draw = 0; draw < draws; ++draw) {
        Rng random(seed, draw, 0, Purpose::bootstrap);
        for (std::size_t i = 0; i < documents; ++i)
            drawn_.push_back(static_cast<std::uint32_t>(random.below(documents)));
    }
}

Estimate Bootstrap::mean(std::span<const double> values) const {
    if (values.size() != documents_ || values.empty())
        throw std::invalid_argument("a bootstrap needs one value a document");
    Estimate estimate{plain_mean(values), std::nullopt};
    if (documents_ < 2) return estimate;
    std::vector<double> means(draws);
    for (std::size_t draw = 0; draw < draws; ++draw) {
        double sum = 0;
        for (std::size_t i = 0; i < documents_; ++i) sum += values[drawn_[draw * documents_ + i]];
        means[draw] = sum / static_cast<double>(documents_);
    }
    estimate.interval = interval_of(means);
    return estimate;
}

Estimate Bootstrap::ratio(std::span<const double> a, std::span<const double> b) const {
    if (a.size() != b.size()) throw std::invalid_argument("a ratio needs the same documents above and below");
    std::vector<double> logs(a.size());
    std::ranges::transform(a, b, logs.begin(),
                           [](double x, double y) { return log_divergence(x) - log_divergence(y); });
    Estimate estimate = mean(logs);
    estimate.value = std::exp(estimate.value);
    if (estimate.interval)
        estimate.interval = Interval{std::exp(estimate.interval->low), std::exp(estimate.interval->high)};
    return estimate;
}

Estimate grouped_bootstrap(std::span<const std::size_t> groups,
                           const std::function<double(std::span<const std::uint32_t>)>& statistic) {
    std::vector<std::uint32_t> drawn(std::accumulate(groups.begin(), groups.end(), std::size_t{0}));
    std::iota(drawn.begin(), drawn.end(), 0U);
    Estimate estimate{statistic(drawn), std::nullopt};
    if (groups.empty() || std::ranges::min(groups) < 2) return estimate;
    std::vector<double> values(Bootstrap::draws);
    for (std::uint32_t draw = 0; draw < values.size(); ++draw) {
        std::size_t first = 0;
        for (std::uint32_t group = 0; group < groups.size(); ++group) {
            Rng random(seed, draw, group, Purpose::bootstrap);
            for (std::size_t i = 0; i < groups[group]; ++i)
                drawn[first + i] = static_cast<std::uint32_t>(first + random.below(groups[group]));
            first += groups[group];
        }
        values[draw] = statistic(drawn);
    }
    estimate.interval = interval_of(values);
    return estimate;
}

} // namespace evictlab
