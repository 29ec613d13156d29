// Where cached tokens stand in a text of which some were evicted before. SPDX-License-Identifier: MIT
#pragma once
#include <evictlab/evictlab.h>

#include <vector>

#include "capi/open_scorer.hpp"
#include "framework/layer/layer.hpp"

namespace evictlab::capi {

/// Tokens that there were so far, those that are gone included.
std::uint64_t seen_tokens(const evl_layer& layer);
/// Whether all KV heads cache the same tokens.
bool heads_alike(const evl_layer& layer);

/// The positions of a layer's tokens, checked. None where they are 0 .. n - 1 of as many.
class TokenPositions {
public:
    explicit TokenPositions(const evl_layer& layer);
    explicit operator bool() const { return !positions_.empty(); }
    /// The view refers to this.
    void give(LayerView& view) const;

private:
    std::size_t stride_ = 0;
    std::uint64_t seen_;
    std::vector<double> positions_; ///< [kv_heads][stride_]
};

/// UsageError for a scorer that would be wrong where something was evicted before, or, unless `alike`, where heads do
/// not cache the same tokens.
void refuse_gaps(const evl_scorer& scorer, bool alike);

} // namespace evictlab::capi
