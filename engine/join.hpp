// Scores of heads and layers made into one for each token, where an engine can only drop whole tokens.
// SPDX-License-Identifier: MIT
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace evictlab::engine {

/// mean and max are of the scores as they are; rank is the mean of each row's ranks, from 0 (the least) to 1, equal
/// scores sharing the mean of theirs, so that no head weighs more because its scores are larger.
enum class Join : std::uint8_t { mean, max, rank };

/// UsageError where there is no such one.
Join join_named(const std::string& name);
std::string_view name_of(Join join);

/// One score for each of n tokens, from rows of n: a layer and KV head each. A row that says "always" (+inf) decides;
/// in mean and rank then one that says "first to go" (-inf), in max one that does not.
std::vector<double> joined(std::span<const std::vector<double>> rows, Join join);

/// Places of the `count` highest scores, ascending; of equal ones the lower places.
std::vector<std::uint32_t> highest(std::span<const double> scores, std::size_t count);

} // namespace evictlab::engine
