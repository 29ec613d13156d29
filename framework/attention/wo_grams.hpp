// What the output projection does to lengths, head by head. SPDX-License-Identifier: MIT
#pragma once
#include <span>
#include <vector>

#include "framework/layer/layer.hpp"

namespace evictlab {

/// W_o[h]' W_o[h] of every query head, [query_heads][dim][dim]: |W_o[h] x|^2 = x' G x. `o_proj` is
/// [hidden][query_heads * dim].
std::vector<double> wo_grams(const LayerShape& shape, std::span<const float> o_proj);

} // namespace evictlab
