// SPDX-License-Identifier: MIT
#include "framework/scorers/shape_refusal.hpp"

namespace evictlab {

std::string shape_refusal(const ScorerClass& scorer, const Shape& shape) {
    if (shape.granularity == Granularity::head) return "";
    const bool by_layer = shape.granularity == Granularity::layer;
    const std::string set = by_layer ? "one set for all heads of a layer" : "one set for all layers and heads";
    if (scorer.head_budgets || scorer.model_budgets)
        return "gives heads different numbers of tokens, and the granularity " +
               std::string(to_string(shape.granularity)) + " has " + set;
    if (scorer.layer_budgets && !by_layer)
        return "gives layers different numbers of tokens, and the granularity model has " + set;
    return "";
}

} // namespace evictlab
