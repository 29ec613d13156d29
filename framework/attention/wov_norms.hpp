// The norms of values behind the output projection, which CriticalKV scores by (Feng et al. 2025).
// SPDX-License-Identifier: MIT
#pragma once
#include <span>
#include <vector>

#include "framework/layer/layer.hpp"

namespace evictlab {

/// ||W_o[h] v_j||_1 for every query head h and token j, [query_heads][tokens]. `o_proj` is [hidden][query_heads * dim].
std::vector<float> wov_norms(const LayerView& layer, std::span<const float> o_proj);

} // namespace evictlab
