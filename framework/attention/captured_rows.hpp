// Rows of attention of a captured layer, one query after the other, for the protocol `rescore`.
// SPDX-License-Identifier: MIT
#pragma once
#include <memory>

#include "framework/layer/layer.hpp"
#include "framework/suite/trace.hpp"

namespace evictlab {

/// Head g's row is the mean, over the query heads that read KV head g, of their attention over the keys that the layer
/// lets the query see; keys outside a sliding window have 0.
std::unique_ptr<LayerReader> make_captured_rows(OwnedLayer layer);

} // namespace evictlab
