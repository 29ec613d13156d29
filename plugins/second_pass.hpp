// What KVzip and its kin share beside the second pass: the first tokens stay, and the lowest cells of the whole model
// go, or of each layer. SPDX-License-Identifier: MIT
#pragma once
#include <evictlab/scorer.hpp>

#include "head_shares.hpp"
#include "model_shares.hpp"

/// kvpress gives the first four tokens 1 + the highest score of the whole model.
inline void keep_first_four(std::span<double> scores) {
    std::ranges::fill(scores.first(std::min<std::size_t>(scores.size(), 4)), evictlab::keep);
}

inline constexpr evictlab::ParameterInfo layerwise_info{
    .key = "layerwise", .label = "layerwise", .help = "each layer, not the model, gives up the share c of its cells"};

/// The cells_left() of the model, or of each layer.
inline void keep_highest(evictlab::Model model, bool layerwise, std::span<std::uint64_t> kept) {
    if (!layerwise) return share_model(model, kept);
    const double removed = model.removed_fraction();
    for (std::size_t i = 0; i < model.size(); ++i) {
        const auto scores = model[i].scores();
        share_among_heads(scores, 0, cells_left(scores.size(), removed), kept.first(model[i].heads()));
        kept = kept.subspan(model[i].heads());
    }
}
