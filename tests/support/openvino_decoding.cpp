// SPDX-License-Identifier: MIT
#include "tests/support/openvino_decoding.hpp"

#include <algorithm>
#include <array>
#include <stdexcept>

namespace evictlab::test {

namespace {

std::vector<double> pooled(std::span<const double> values, std::size_t pool) {
    std::vector<double> highest;
    for (std::size_t i = 0; i < values.size(); ++i)
        highest.push_back(
            std::ranges::max(values.subspan(i, std::min(std::max<std::size_t>(pool, 1), values.size() - i))));
    return highest;
}

template <class Value>
void erase_block(std::vector<Value>& values, std::size_t block, std::size_t length) {
    const auto begin = values.begin() + static_cast<std::ptrdiff_t>(block * length);
    values.erase(begin, begin + static_cast<std::ptrdiff_t>(length));
}

} // namespace

OpenVinoAnchor openvino_anchor_named(std::string_view name) {
    constexpr std::array<std::string_view, 4> names{"ZEROS", "ONES", "ALTERNATING", "MEAN"};
    const auto at = std::ranges::find(names, name);
    if (at == names.end()) throw std::invalid_argument("no such anchor");
    return static_cast<OpenVinoAnchor>(at - names.begin());
}

void OpenVinoDecoding::add(std::span<const double> received, std::size_t counted) {
    if (registered_ < options_.snapkv) registered_ += counted;
    if (received.size() <= options_.areas.start) return;
    const auto tracked = received.subspan(options_.areas.start);
    if (sums_.empty() && options_.snapkv > 0 && counted == 0) return;
    const std::size_t added = tracked.size() - sums_.size();
    if (options_.mode == Mode::adaptive_rkv) {
        const bool first = sums_.empty();
        if (latest_.size() == options_.rkv_window) latest_.pop_front();
        latest_.emplace_back(tracked.begin(), tracked.end());
        sums_ = first ? latest_.back() : pooled(latest_mean(), options_.pool);
        return;
    }
    count(added, counted);
    sums_.resize(tracked.size());
    const auto highest = pooled(tracked, options_.pool);
    for (std::size_t i = 0; i < highest.size(); ++i) sums_[i] += highest[i];
}

void OpenVinoDecoding::count(std::size_t added, std::size_t counted) {
    const std::size_t before = counters_.size(), all = before + added;
    const bool by_window = options_.snapkv > 0 && (before == 0 || registered_ < options_.snapkv);
    const std::size_t most = before == 0 ? counted : registered_;
    counters_.resize(all);
    for (std::size_t i = 0; i < all; ++i)
        if (by_window)
            counters_[i] = std::min(most, all - i);
        else
            counters_[i] = i < before ? counters_[i] + added : all - i;
}

std::vector<double> OpenVinoDecoding::latest_mean() const {
    std::vector<double> mean(latest_.back().size());
    for (const auto& step : latest_)
        for (std::size_t i = 0; i < step.size(); ++i) mean[i] += step[i] / static_cast<double>(latest_.size());
    return mean;
}

OpenVinoBlockList OpenVinoDecoding::leaving(OpenVinoAreas::Candidates candidates, const Diversity& diversity) const {
    const std::size_t block = options_.areas.block;
    const auto sums = std::span(sums_).first(candidates.count * block);
    std::vector<double> values(sums.begin(), sums.end());
    if (options_.mode == Mode::norm_sum)
        for (std::size_t i = 0; i < values.size(); ++i) values[i] /= static_cast<double>(counters_[i]);
    const auto of_blocks = openvino_block_values(values, block);
    if (options_.mode == Mode::adaptive_rkv)
        return openvino_adaptive(of_blocks, candidates.stay, options_.attention_mass, diversity);
    return openvino_without_given_back(sums, openvino_lowest(of_blocks, candidates.stay), block, options_.crush_budget,
                                       options_.anchor);
}

OpenVinoBlockList OpenVinoDecoding::evict(const Diversity& diversity) {
    const auto candidates = options_.areas.candidates(options_.areas.start + sums_.size());
    if (candidates.count == 0) return {};
    OpenVinoBlockList gone = leaving(candidates, diversity);
    for (std::size_t i = gone.size(); i-- > 0;) {
        erase_block(sums_, gone[i], options_.areas.block);
        if (options_.mode != Mode::adaptive_rkv) erase_block(counters_, gone[i], options_.areas.block);
        gone[i] += candidates.first;
    }
    latest_.clear();
    return gone;
}

} // namespace evictlab::test
