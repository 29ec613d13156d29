// The inner loops of the synthetic generator, vectorised for the processor at hand. All arrays are padded.
// SPDX-License-Identifier: MIT
#pragma once
#include <cstddef>

namespace evictlab {

/// `full`: row holds uniforms and becomes weight * (0.8 + 0.4 u); `dense_mask` chooses between the two tables, the
/// first `sinks` keys take `sink_weight` instead.
void raw_row(const double* plain, const double* dense, const double* dense_mask, const double* sink_weight,
             std::size_t sinks, std::size_t n, double* row);

/// `micro`: row holds uniforms and becomes (weight * (0.8 + 0.4 u)) ^ focus.
void raw_row_powered(const double* plain, const double* sink_weight, std::size_t sinks, double focus, std::size_t n,
                     double* row);

/// In place, the maximum subtracted; entries from n to padded(n) become 0.
void softmax(std::size_t n, double* row);

} // namespace evictlab
