// SPDX-License-Identifier: MIT
#include "framework/scorers/shape_refusal.hpp"

#include "framework/scorers/scorer_class.hpp"

namespace evictlab {

std::string shape_refusal(const Scorer& asked, const Shape& shape) {
    if (asked.has_threshold() && !shape.usual())
        return "has a threshold in place of a budget, by which each head keeps its own tokens one by one, and no "
               "others";
    if (shape.granularity == Granularity::head) return "";
    const ScorerClass scorer = class_of(asked);
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
