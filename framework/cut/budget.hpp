// How many tokens a share of n is: the seed's rule, by what is kept, and kvpress's, by what is removed.
// SPDX-License-Identifier: MIT
#pragma once
#include <cstddef>
#include <span>
#include <vector>

namespace evictlab {

/// Kept tokens of n at a retention (the seed, protocol rescore): ceil(n * retention).
std::size_t kept_count(std::size_t n, double retention);

/// Tokens that a head keeps of n when the share `removed_fraction` goes (kvpress 0.5.5): 0 if c >= 1, else
/// max(1, (int)(n (1.0 - c))), in doubles, in this order.
std::size_t kept_count_for_removed(std::size_t n, double removed_fraction);
/// The same at each of these retentions or, where there are any, min(n, K) of these numbers.
std::vector<std::size_t> kept_counts(std::size_t n, std::span<const double> retentions,
                                     std::span<const std::size_t> keep);

/// A c for which kept_count_for_removed(n, c) is `kept`, or n where that is less; kept >= 1: 1 - kept/n but for
/// rounding, or 0.
double removed_fraction_for_kept(std::size_t n, std::size_t kept);

/// By what name results have budgets that are numbers of tokens: the share that each is of prompts of so many tokens,
/// on the mean, to six digits and above 0. OptionError for 0, and for two that keep the same of every prompt.
std::vector<double> mean_shares(std::span<const std::size_t> keep, std::span<const std::size_t> prompts);

} // namespace evictlab
