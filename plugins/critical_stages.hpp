// The two stages of CriticalKV and CriticalAdaKV. What the base always keeps or evicts first stays so in both.
// SPDX-License-Identifier: MIT
#pragma once
#include <cmath>
#include <limits>

/// Of a token that the base's scores choose: above those of the second stage.
inline double first_stage_score(double base) {
    constexpr double chosen = std::numeric_limits<float>::max();
    return base > chosen ? base : chosen;
}

inline double second_stage(double base, double epsilon, double norm) {
    return std::isinf(base) ? base : (base + epsilon) * norm;
}
