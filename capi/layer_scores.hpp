// A caller's layer as scorers see it. SPDX-License-Identifier: MIT
#pragma once
#include <evictlab/evictlab.h>

#include <functional>

#include "capi/open_scorer.hpp"

namespace evictlab::capi {

/// Throws UsageError unless it is in [0, 1].
void check_removed(double removed);

/// UsageError for NULL, and for a scorer that must see all layers of the model.
void refuse_layers_alone(const evl_scorer* scorer);

/// The structure as this library knows it, what the caller does not know being 0. UsageError for numbers that are none
/// of a layer.
evl_layer checked(const evl_layer* given);

/// Checks the layer, computes the scorer's columns and calls `use`, during which both hold. Throws UsageError, Error.
void with_input(const evl_scorer& scorer, const evl_layer* layer,
                const std::function<void(const ScorerRun&, const LayerInput&)>& use);

/// Checks the layer and calls `use` with it as scorers see it, which holds meanwhile. Throws UsageError, Error.
void with_view(const evl_scorer& scorer, const evl_layer* layer, const std::function<void(const LayerView&)>& use);

} // namespace evictlab::capi
