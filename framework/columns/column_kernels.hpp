// The inner loops of running columns, vectorised for the processor at hand. All arrays are padded.
// SPDX-License-Identifier: MIT
#pragma once
#include <cstddef>

namespace evictlab::columns {

/// sums += row
void accumulate(const double* row, std::size_t n, double* sums);
/// sums += row - oldest; oldest = row
void slide(const double* row, std::size_t n, double* oldest, double* sums);
/// sums += -a ln a of each a of row above 1e-10
void accumulate_entropy(const double* row, std::size_t n, double* sums);

} // namespace evictlab::columns
