// Global: any scorer's scores, ranked over all layers and heads of the model together.
// SPDX-License-Identifier: MIT
#include <evictlab/scorer.hpp>

#include <algorithm>

#include "model_shares.hpp"

struct Global {
    static constexpr evictlab::Info info{
        .id = "global",
        .name = "Global budget",
        .description = "the base's scores; of all cells of all layers and heads the share c with the lowest goes",
        .reference = "NVIDIA kvpress 0.5.5, KVzipPress with layerwise=False; Kim et al. 2025, KVzip, arXiv:2505.23416",
        .equal_layers = true};
    static constexpr evictlab::Columns columns{"base_score"};
    static constexpr evictlab::Preset presets[] = {{"kvpress",
                                                    "KVzip's rule over other scores",
                                                    {},
                                                    evictlab::Standing::published,
                                                    "snapkv@kvpress,expected_attention@kvpress,evolved@real"}};

    void score(evictlab::Head<Global> head, std::span<double> out) const {
        std::ranges::copy(head["base_score"], out.begin());
    }

    void model_budgets(evictlab::Model model, std::span<std::uint64_t> kept) const { share_model(model, kept); }
};
EVICTLAB_SCORER(Global)
