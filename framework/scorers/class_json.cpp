// SPDX-License-Identifier: MIT
#include "framework/scorers/class_json.hpp"

namespace evictlab {

Json to_json(const ScorerClass& scorer_class) {
    const auto aware = scorer_class.query_aware();
    return {{"reads", scorer_class.reads()},
            {"query_aware", aware ? Json(*aware) : Json(nullptr)},
            {"fused_attention", scorer_class.fused_attention()},
            {"passes", scorer_class.passes},
            {"calibrated", scorer_class.calibrated},
            {"budgets", scorer_class.budgets()}};
}

} // namespace evictlab
