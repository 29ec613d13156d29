// SPDX-License-Identifier: MIT
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>

namespace evictlab::numeric {

enum class Pooling : std::uint8_t { average, maximum };

/// out[i] over the `kernel` values nearest to i, kernel odd: their mean, where values beyond the ends count as 0, or
/// the largest of those that there are. `out` does not overlap them.
void pool(std::span<const double> values, std::size_t kernel, Pooling pooling, double* out);

} // namespace evictlab::numeric
