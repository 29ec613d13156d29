// SPDX-License-Identifier: MIT
#include "report/plot_layout.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace evictlab::report {
namespace {

constexpr double rounding = 1e-9, most = 1e250;

/// The nearest sequence that never falls, in least squares: pool adjacent violators.
std::vector<double> never_falling(const std::vector<double>& values) {
    struct Block {
        double sum;
        std::size_t count;
        double mean() const { return sum / static_cast<double>(count); }
    };
    std::vector<Block> blocks;
    for (const double value : values) {
        blocks.push_back({value, 1});
        while (blocks.size() > 1 && blocks[blocks.size() - 2].mean() > blocks.back().mean()) {
            const Block last = blocks.back();
            blocks.pop_back();
            blocks.back() = {blocks.back().sum + last.sum, blocks.back().count + last.count};
        }
    }
    std::vector<double> out;
    for (const Block& block : blocks) out.insert(out.end(), block.count, block.mean());
    return out;
}

} // namespace

std::vector<double> spread_labels(const std::vector<double>& wanted, double spacing, double low, double high) {
    if (wanted.empty()) return {};
    const auto labels = static_cast<double>(wanted.size() - 1);
    if (labels > 0) spacing = std::min(spacing, (high - low) / labels);
    std::vector<std::size_t> order(wanted.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::ranges::stable_sort(order, {}, [&](std::size_t i) { return wanted[i]; });
    // Less the room of the labels below, places need only not fall.
    std::vector<double> free;
    for (std::size_t i = 0; i < order.size(); ++i) free.push_back(wanted[order[i]] - static_cast<double>(i) * spacing);
    free = never_falling(free);
    std::vector<double> places(wanted.size());
    for (std::size_t i = 0; i < order.size(); ++i)
        places[order[i]] = std::clamp(free[i], low, high - labels * spacing) + static_cast<double>(i) * spacing;
    return places;
}

Axis::Axis(const std::vector<double>& values, double bottom, double top) : bottom_(bottom), top_(top) {
    double smallest = HUGE_VAL, largest = 0;
    for (const double value : values) {
        if (value > rounding) smallest = std::min(smallest, value);
        if (std::isfinite(value)) largest = std::max(largest, value);
    }
    largest = std::min(largest, most); // what an axis makes of it must be a number, too
    smallest = std::min(smallest, largest);
    if (largest <= 0) return;
    logarithmic_ = largest > 20 * smallest;
    low_ = logarithmic_ ? smallest / 1.3 : 0;
    high_ = logarithmic_ ? largest * 1.3 : largest * 1.08;
}

double Axis::place(double value) const {
    const double share =
        logarithmic_ ? std::log(value / low_) / std::log(high_ / low_) : (value - low_) / (high_ - low_);
    return bottom_ + std::clamp(share, 0.0, 1.0) * (top_ - bottom_);
}

std::vector<double> Axis::round_values() const {
    const bool long_axis = high_ > 400 * low_;
    std::vector<double> values;
    for (int power = -15; power <= 15; ++power)
        for (const int first : {1, 2, 5}) {
            // Divided, not multiplied: 0.2 is to be written as it is read.
            const double value = power < 0 ? first / std::pow(10, -power) : first * std::pow(10, power);
            if (value >= low_ && value <= high_ && (first == 1 || !long_axis)) values.push_back(value);
        }
    return values;
}

} // namespace evictlab::report
