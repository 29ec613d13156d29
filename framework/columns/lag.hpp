// LagKV's statistic (Liang et al. 2025): how far a token's key or value channels spread when measured by the range of
// the partition that follows. SPDX-License-Identifier: MIT
#pragma once
#include <cstddef>
#include <memory>
#include <string_view>

#include "framework/columns/column.hpp"

namespace evictlab::columns {

/// A column's state over keys or values: `NAME:T:sinks=S`. Per partition of T tokens behind the first S, but for the
/// last whole one: the softmax over its tokens of the standard deviation over channels of (x - lo)/(hi - lo), where lo
/// and hi are the next partition's. 0 at all other tokens, and everywhere below S + 2T tokens.
std::unique_ptr<ColumnState> make_lag(std::string_view column, std::string_view arguments, std::size_t tokens,
                                      const float* HeadTensors::*vectors);

} // namespace evictlab::columns
