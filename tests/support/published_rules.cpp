// SPDX-License-Identifier: MIT
#include "tests/support/published_rules.hpp"

#include <algorithm>

#include "framework/cut/budget.hpp"
#include "framework/cut/top_k.hpp"

namespace evictlab::test {

namespace {

void add(std::span<const double> received, std::vector<double>& accumulated) {
    accumulated.resize(received.size());
    for (std::size_t j = 0; j < received.size(); ++j) accumulated[j] += received[j];
}

} // namespace

H2oBudget H2oBudget::of_ratios(std::size_t prompt, double heavy_ratio, double recent_ratio) {
    const auto part = [&](double ratio) { return static_cast<std::size_t>(ratio * static_cast<double>(prompt)); };
    return {part(heavy_ratio), part(recent_ratio)};
}

void H2oMaskSimulation::step(std::span<const double> received) {
    add(received, accumulated_);
    const std::size_t t = received.size();
    if (t <= budget_.heavy + budget_.recent) return;
    const std::size_t before_recent = t - budget_.recent;
    const auto heavy = top_k(std::span(accumulated_).first(before_recent), budget_.heavy);
    // The newest of the recent ones is the next step's own key, so the oldest is hidden for a step, but not forgotten.
    mask_.assign(t + 1, false);
    for (const std::uint32_t j : heavy) mask_[j] = true;
    for (std::size_t j = before_recent + 1; j < mask_.size(); ++j) mask_[j] = true;
    if (budget_.recent == 0) return;
    std::vector<bool> remembered(t, false);
    for (const std::uint32_t j : heavy) remembered[j] = true;
    for (std::size_t j = 0; j < before_recent; ++j)
        if (!remembered[j]) accumulated_[j] = 0;
}

Slots H2oRealDrop::step(std::span<const double> received) {
    add(received, accumulated_);
    const std::size_t cached = received.size();
    const std::size_t before_recent = cached - std::min(cached, budget_.recent);
    Slots kept = top_k(std::span(accumulated_).first(before_recent),
                       cached > budget_.heavy + budget_.recent ? budget_.heavy : before_recent);
    for (std::size_t j = before_recent; j < cached; ++j) kept.push_back(static_cast<std::uint32_t>(j));
    for (std::size_t i = 0; i < kept.size(); ++i) accumulated_[i] = accumulated_[kept[i]];
    accumulated_.resize(kept.size());
    return kept;
}

Slots tova_cut(std::span<const double> last_attention, std::size_t capacity) { return top_k(last_attention, capacity); }

Slots StreamingLlmCache::make_room(std::size_t cached, std::size_t added) const {
    const bool fits = cached + added <= start + recent;
    const std::size_t newest = recent - std::min(recent, added);
    Slots kept;
    for (std::size_t j = 0; j < cached; ++j)
        if (fits || j < start || j + newest >= cached) kept.push_back(static_cast<std::uint32_t>(j));
    return kept;
}

DecodingPressSchedule::Action DecodingPressSchedule::forward(std::size_t tokens, std::size_t cached) {
    ++counter_;
    Action action;
    action.forwards_in_buffer = ++buffered_;
    const bool due = counter_ >= options_.interval || tokens >= options_.target;
    if (due && cached > options_.target) {
        action.compress = true;
        action.kept = options_.target;
        action.removed_fraction = removed_fraction_for_kept(cached, options_.target);
    }
    if (due) counter_ = buffered_ = 0;
    buffered_ = std::min(buffered_, options_.buffer);
    return action;
}

std::size_t decoding_target(std::size_t tokens_seen, double ratio) {
    return std::max<std::size_t>(1, static_cast<std::size_t>(static_cast<double>(tokens_seen) * (1 - ratio)));
}

} // namespace evictlab::test
