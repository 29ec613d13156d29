// CriticalKV: the best half of the budget by the base's scores, the rest by those times the norm of what the value adds
// to the layer's output. SPDX-License-Identifier: MIT
#include <evictlab/scorer.hpp>

#include <algorithm>
#include <numeric>
#include <vector>

#include "critical_stages.hpp"

struct CriticalKv {
    double epsilon = 1e-4, first_stage = 0.5;
    bool at_least_one = true;

    static constexpr evictlab::Info info{
        .id = "criticalkv",
        .name = "CriticalKV",
        .description = "(base_score + epsilon) wov_norm; first the best first_stage K by base_score",
        .reference =
            "Feng et al. 2025, Identify Critical KV Cache, arXiv:2502.03805 (DefensiveKV 9251b95); NVIDIA kvpress "
            "0.5.5, CriticalKVPress",
        .budgeted = true,
        .equal_layers = true};
    static constexpr evictlab::Columns columns{"base_score", "wov_norm"};
    static constexpr evictlab::Parameter<CriticalKv> parameters[] = {
        {&CriticalKv::epsilon, {.key = "epsilon", .label = "epsilon", .help = "added to the base's score"}},
        {&CriticalKv::first_stage,
         {.key = "first_stage", .label = "first stage", .help = "share of the budget that the base fills"}},
        {&CriticalKv::at_least_one,
         {.key = "at_least_one", .help = "the first stage has a token or more", .evolvable = false}}};
    // kvpress prescribes expected_attention without the norm of the values, which is in wov_norm already.
    static constexpr evictlab::Preset presets[] = {
        {"kvpress",
         "kvpress's defaults",
         {},
         evictlab::Standing::published,
         "expected_attention@kvpress:use_vnorm=false,snapkv@kvpress"},
        {"paper", "the same without a least count", {{"at_least_one", 0}}, evictlab::Standing::published}};

    void score(evictlab::Head<CriticalKv> head, std::span<double> out) const {
        const auto base = head["base_score"], norm = head["wov_norm"];
        const auto n = static_cast<double>(out.size());
        const auto first = static_cast<std::size_t>((1.0 - head.removed_fraction()) * n * first_stage);
        std::vector<std::size_t> order(out.size());
        std::iota(order.begin(), order.end(), std::size_t{0});
        std::ranges::stable_sort(order, std::greater{}, [&](std::size_t i) { return base[i]; });
        for (std::size_t i = 0; i < out.size(); ++i) out[i] = second_stage(base[i], epsilon, norm[i]);
        for (std::size_t i = 0; i < std::max<std::size_t>(first, at_least_one ? 1 : 0); ++i)
            out[order[i]] = first_stage_score(base[order[i]]);
    }
};
EVICTLAB_SCORER(CriticalKv)
