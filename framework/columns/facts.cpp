// SPDX-License-Identifier: MIT
#include "framework/columns/facts.hpp"

#include <algorithm>
#include <array>
#include <string_view>

namespace evictlab::columns {
namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();
constexpr double most_tokens = 0x1p53; // whole numbers are exact up to there

constexpr ColumnFacts number(double low, double high) { return {low, high, false, false}; }
/// Of keys, values or attention, which a host may have made of anything.
constexpr ColumnFacts at_least_zero{0, infinity, true, false};

struct Known {
    std::string_view name;
    ColumnFacts facts;
};

/// Sums that begin at 0 are never -0. Those that slide may be a little below it, by what is added and taken off again.
constexpr ColumnFacts sum{-infinity, infinity, true, false};

constexpr std::array table{
    Known{"attn_entropy", sum},
    Known{"cumulative_attn", at_least_zero},
    Known{"is_sink", number(0, 1)},
    Known{"key_norm", at_least_zero},
    Known{"last_attn", at_least_zero},
    Known{"layer_idx", number(0, most_tokens)},
    Known{"layer_ratio", number(0, 1)},
    Known{"num_layers", number(1, most_tokens)},
    Known{"observed_attn", at_least_zero},
    Known{"position", number(0, most_tokens)},
    Known{"rank", number(0, 1)},
    Known{"recent_attn", sum},
    Known{"relative_age", number(0, 1)},
    Known{"relative_pos", number(0, most_tokens)},
    Known{"sequence_len", number(1, most_tokens)},
    Known{"token_type", number(0, 3)},
    Known{"value_norm", at_least_zero},
    Known{"window_max", at_least_zero},
    Known{"window_std", at_least_zero},
    Known{"window_var", at_least_zero},
    Known{"wov_norm", at_least_zero},
};

} // namespace

ColumnFacts facts(ColumnId id) {
    const auto known = std::ranges::find(table, info(id).name, &Known::name);
    return known == table.end() ? ColumnFacts{} : known->facts;
}

} // namespace evictlab::columns
