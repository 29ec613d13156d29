// LeverageScore: keys that others do not span. SPDX-License-Identifier: MIT
#include <evictlab/scorer.hpp>

#include <algorithm>

struct Leverage {
    static constexpr evictlab::Info info{
        .id = "leverage",
        .name = "LeverageScore",
        .description = "key_leverage, standardized over the layer",
        .reference = "Chari et al. 2025, Compactor, arXiv:2507.08143; NVIDIA kvpress 0.5.5, LeverageScorePress"};
    static constexpr evictlab::Columns columns{"zscore:key_leverage"};
    static constexpr evictlab::Preset presets[] = {
        {"kvpress", "kvpress's rule without its random sketch of the keys", {}, evictlab::Standing::published}};

    void score(evictlab::Head<Leverage> head, std::span<double> out) const {
        std::ranges::copy(head["zscore"], out.begin());
    }
};
EVICTLAB_SCORER(Leverage)
