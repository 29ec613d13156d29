// Scores of heads and layers made into one for each token, for those who share a set of kept tokens.
// SPDX-License-Identifier: MIT
#pragma once
#include <span>
#include <vector>

#include "framework/cut/shape.hpp"

namespace evictlab {

/// One score for each of n tokens, from rows of n: a layer and KV head each, one at least, in order of layer and head.
/// - mean, max: of the scores as they are. A mean beyond what a double holds is the largest or lowest one.
/// - rank: the mean of each row's ranks, from 0 (the least) to 1, equal scores sharing the mean of theirs (0.5 for all
///   of an equal row): no row weighs more because its scores are larger, or lie further apart.
/// - share: the mean of each row over the sum of its absolute scores: of attention, the share that a token has of it.
///   A row of zeros adds nothing.
/// A row that says "always" (+inf) decides; in mean, rank and share then one that says "first to go" (-inf), in max one
/// that does not. Infinite scores are left out of sums, and of a row's ranks only their own. No score is NaN.
/// The same bits for the same rows in the same order.
std::vector<double> joined(std::span<const std::span<const double>> rows, Join join);
std::vector<double> joined(std::span<const std::vector<double>> rows, Join join);
/// `scores` [rows][n].
std::vector<double> joined(std::span<const double> scores, std::size_t n, Join join);

} // namespace evictlab
