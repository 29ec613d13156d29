// Squares of keys or values as shares of their neighbourhood's, as CUR has them. SPDX-License-Identifier: MIT
#pragma once
#include <memory>
#include <string_view>

#include "framework/columns/column.hpp"

namespace evictlab::columns {

/// `NAME:W` (16): the squared L2 norm of the token's vector over the sum of those cached in its block of W positions;
/// the squared norm itself where W is 0. `vectors` are a head's keys or values.
std::unique_ptr<ColumnState> make_squared_share(std::string_view column, std::string_view arguments, std::size_t tokens,
                                                const float* HeadTensors::*vectors);

} // namespace evictlab::columns
