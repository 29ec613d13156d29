// SPDX-License-Identifier: MIT
#include "evolution/run_figures.hpp"

#include <algorithm>

namespace evictlab::evolution {
namespace {

double share(std::uint64_t part, std::uint64_t whole) {
    return whole == 0 ? 0 : static_cast<double>(part) / static_cast<double>(whole);
}

} // namespace

Shares shares_of(const Counters& counters) {
    const std::uint64_t made = counters.duplicates + counters.semantic_duplicates + counters.candidates;
    return {share(counters.duplicates, made), share(counters.semantic_duplicates, made),
            share(counters.raced_out, counters.candidates), share(counters.refused, counters.candidates)};
}

std::optional<double> seconds_left(const RunLimits& limits, const RunState& state, const Pace& pace, double elapsed) {
    std::optional<double> nearest;
    const auto consider = [&](double left) { nearest = std::max(0.0, std::min(left, nearest.value_or(left))); };
    const auto consider_count = [&](std::uint64_t limit, std::uint64_t done, std::uint64_t made) {
        if (done >= limit) return consider(0);
        if (made > 0) consider(static_cast<double>(limit - done) * pace.seconds / static_cast<double>(made));
    };
    if (limits.generations) consider_count(*limits.generations, state.generation, pace.generations);
    if (limits.evaluations) consider_count(*limits.evaluations, state.counters.evaluations, pace.evaluations);
    if (limits.seconds) consider(*limits.seconds - elapsed);
    return nearest;
}

} // namespace evictlab::evolution
