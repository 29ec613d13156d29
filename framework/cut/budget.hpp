// How many tokens a share of n is: the seed's rule, by what is kept, and kvpress's, by what is removed.
// SPDX-License-Identifier: MIT
#pragma once
#include <cstddef>

namespace evictlab {

/// Kept tokens of n at a retention (the seed, protocol rescore): ceil(n * retention).
std::size_t kept_count(std::size_t n, double retention);

/// Tokens that a head keeps of n when the share `removed_fraction` goes (kvpress 0.5.5): 0 if c >= 1, else
/// max(1, (int)(n (1.0 - c))), in doubles, in this order.
std::size_t kept_count_for_removed(std::size_t n, double removed_fraction);

/// A c for which kept_count_for_removed(n, c) is `kept`, or n where that is less; kept >= 1: 1 - kept/n but for
/// rounding, or 0.
double removed_fraction_for_kept(std::size_t n, std::size_t kept);

} // namespace evictlab
