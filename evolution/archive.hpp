// A quality-diversity archive (after MAP-Elites, Mouret and Clune 2015): the best formula of each kind that was ever
// measured, kept beside the population, which grows alike. A kind is what a formula reads, and how long it is.
// SPDX-License-Identifier: MIT
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "evolution/population.hpp"

namespace evictlab::evolution {

/// The cell of a formula: the set of families among its columns (what belongs to a row or layer; keys and values; the
/// token's own; attention in a window; attention since the beginning) with its size (up to 7, 15, 31 nodes, or more).
/// Below archive_cells.
std::uint32_t archive_cell(const formula::Formula& formula);
inline constexpr std::uint32_t archive_cells = 4U << 5U;

/// Keeps in `archive`, which has at most one member a cell and is in the order of cells, the best by train error; of
/// equals the smaller, then that with the lower hash. Does not depend on the order of `members`.
void offer_to_archive(std::vector<Member>& archive, std::span<const Member> members);

} // namespace evictlab::evolution
