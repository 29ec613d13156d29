// CriticalAdaKV: AdaKV's budgets for heads; within each, CriticalKV's two stages.
// SPDX-License-Identifier: MIT
#include <evictlab/scorer.hpp>

#include <numeric>

#include "critical_stages.hpp"
#include "head_shares.hpp"

struct CriticalAdaKv {
    double alpha = 0.2, epsilon = 1e-4, first_stage = 0.5;
    bool at_least_one = true;

    static constexpr evictlab::Info info{
        .id = "criticaladakv",
        .name = "CriticalAdaKV",
        .description = "adakv's head budgets; first a share first_stage of each by base_score, then by (base_score + "
                       "epsilon) wov_norm",
        .reference =
            "Feng et al. 2025, Identify Critical KV Cache, arXiv:2502.03805 (DefensiveKV 9251b95); NVIDIA kvpress "
            "0.5.5, CriticalAdaKVPress",
        .budgeted = true,
        .equal_layers = true};
    static constexpr evictlab::Columns columns{"base_score", "wov_norm"};
    static constexpr evictlab::Parameter<CriticalAdaKv> parameters[] = {
        {&CriticalAdaKv::alpha,
         {.key = "alpha", .label = "alpha", .help = "share of the budget that each head is sure of"}},
        {&CriticalAdaKv::epsilon, {.key = "epsilon", .label = "epsilon", .help = "added to the base's score"}},
        {&CriticalAdaKv::first_stage,
         {.key = "first_stage", .label = "first stage", .help = "share of the budget that the base fills"}},
        {&CriticalAdaKv::at_least_one,
         {.key = "at_least_one", .help = "each head is sure of a token or more", .evolvable = false}}};
    static constexpr evictlab::Preset presets[] = {
        {"kvpress", "kvpress's defaults", {}, evictlab::Standing::published, "snapkv@kvpress"},
        {"paper", "the same without a least count", {{"at_least_one", 0}}, evictlab::Standing::published}};

    using Batch = evictlab::Batch<CriticalAdaKv>;

    void score(Batch batch, std::span<double> scores) const {
        std::vector<std::uint64_t> budgets(batch.heads());
        share(batch, budgets);
        std::vector<std::size_t> order(batch.tokens());
        for (std::size_t h = 0; h < batch.heads(); ++h) {
            const auto base = batch.head(h)["base_score"], norm = batch.head(h)["wov_norm"];
            const auto out = batch.row(scores, h);
            for (std::size_t i = 0; i < out.size(); ++i) out[i] = second_stage(base[i], epsilon, norm[i]);
            std::iota(order.begin(), order.end(), std::size_t{0});
            std::ranges::stable_sort(order, std::greater{}, [&](std::size_t i) { return base[i]; });
            const auto first = static_cast<std::size_t>(static_cast<double>(budgets[h]) * first_stage);
            for (std::size_t i = 0; i < std::max(first, safeguarded(batch.kept(), alpha, at_least_one)); ++i)
                out[order[i]] = first_stage_score(base[order[i]]);
        }
    }

    void head_budgets(Batch batch, std::span<const double>, std::span<std::uint64_t> kept) const { share(batch, kept); }

    void share(Batch batch, std::span<std::uint64_t> kept) const {
        std::vector<double> base;
        for (std::size_t h = 0; h < batch.heads(); ++h) {
            const auto row = batch.head(h)["base_score"];
            base.insert(base.end(), row.begin(), row.end());
        }
        share_among_heads(base, safeguarded(batch.kept(), alpha, at_least_one), batch.heads() * batch.kept(), kept);
    }
};
EVICTLAB_SCORER(CriticalAdaKv)
