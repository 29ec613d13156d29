// The positions of the highest scores, for who needs the set; Cutter is faster where the mass on it is enough.
// SPDX-License-Identifier: MIT
#pragma once
#include <cstdint>
#include <span>
#include <vector>

namespace evictlab {

/// Positions of the `kept` highest scores, ascending; among equal scores the lower position is kept. No score is NaN.
std::vector<std::uint32_t> top_k(std::span<const double> scores, std::size_t kept);

} // namespace evictlab
