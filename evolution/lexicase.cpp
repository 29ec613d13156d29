// SPDX-License-Identifier: MIT
#include "evolution/lexicase.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace evictlab::evolution {
namespace {

/// The upper one of two in the middle.
double median(std::vector<double> values) {
    const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
    std::nth_element(values.begin(), middle, values.end());
    return *middle;
}

double median_absolute_deviation(std::span<const double> values) {
    const double center = median({values.begin(), values.end()});
    std::vector<double> deviations;
    for (const double value : values) deviations.push_back(std::abs(value - center));
    return median(std::move(deviations));
}

} // namespace

Lexicase::Lexicase(std::span<const Member* const> pool) : members_(pool.size()), cases_(0) {
    for (const auto& document : pool.front()->train.by_document) cases_ += document.size();
    errors_.resize(cases_ * members_);
    for (std::size_t m = 0; m < members_; ++m) {
        std::size_t at = 0;
        for (const auto& document : pool[m]->train.by_document)
            for (const double error : document) errors_[at++ * members_ + m] = error;
    }
    for (std::size_t c = 0; c < cases_; ++c)
        epsilon_.push_back(median_absolute_deviation({errors_.data() + c * members_, members_}));
}

std::size_t Lexicase::choose(Rng& rng) const {
    std::vector<std::size_t> order(cases_), left(members_);
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::iota(left.begin(), left.end(), std::size_t{0});
    for (std::size_t drawn = 0; drawn < cases_ && left.size() > 1; ++drawn) {
        std::swap(order[drawn], order[drawn + rng.below(cases_ - drawn)]);
        const double* errors = errors_.data() + order[drawn] * members_;
        double best = std::numeric_limits<double>::infinity();
        for (const std::size_t m : left) best = std::min(best, errors[m]);
        std::erase_if(left, [&, most = best + epsilon_[order[drawn]]](std::size_t m) { return errors[m] > most; });
    }
    return rng.any(left);
}

} // namespace evictlab::evolution
