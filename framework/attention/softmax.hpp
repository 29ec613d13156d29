// Softmax of one row of logits in single precision, vectorised with the same bits on every processor.
// SPDX-License-Identifier: MIT
#pragma once
#include <cstddef>

namespace evictlab {

/// In place: row[i] = exp(scale row[i]) / sum over [begin, end), with the maximum subtracted; 0 outside of it up to
/// `stride`, a multiple of 32. begin < end <= stride; scale > 0.
void softmax(float* row, std::size_t begin, std::size_t end, std::size_t stride, float scale);

/// mean[i] = the mean over `count` rows of n floats, `stride` apart, as doubles; n is a multiple of 8.
void mean_of_rows(const float* rows, std::size_t stride, std::size_t count, std::size_t n, double* mean);

} // namespace evictlab
