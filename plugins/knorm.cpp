// Knorm: keys of small norm attract attention, so large norms go first.
// SPDX-License-Identifier: MIT
#include <evictlab/scorer.hpp>

#include <cmath>

struct Knorm {
    static constexpr evictlab::Info info{
        .id = "knorm",
        .name = "Knorm",
        .description = "minus the L2 norm of the key",
        .reference = "Devoto et al. 2024, A Simple and Effective L2 Norm-Based Strategy for KV Cache Compression, "
                     "arXiv:2406.11430",
        .formula = "-key_norm"};
    static constexpr evictlab::Columns columns{"key_norm"};
    static constexpr evictlab::Preset presets[] = {
        {"seed", "the original benchmark's rule", {}, evictlab::Standing::simplified},
        {"kvpress", "the same", {}, evictlab::Standing::published}};

    void score(evictlab::Head<Knorm> head, std::span<double> out) const {
        const auto norm = head["key_norm"];
        for (std::size_t i = 0; i < out.size(); ++i) out[i] = -norm[i];
    }
};

// The authors' program rounds the number of kept tokens up, and leaves short prompts and first layers alone.
struct KnormOfPaper {
    int skip_layers = 0, prune_after = 0;

    static constexpr evictlab::Info info{.id = "knorm",
                                         .name = "Knorm (paper)",
                                         .description = "minus the L2 norm of the key; ceil((1 - c) n) tokens are kept",
                                         .reference = "l2compress f93d6ca; Devoto et al. 2024, arXiv:2406.11430"};
    static constexpr evictlab::Columns columns{"key_norm"};
    static constexpr evictlab::Parameter<KnormOfPaper> parameters[] = {
        {&KnormOfPaper::skip_layers,
         {.key = "skip_layers", .label = "skipped layers", .help = "first layers that keep all", .max = 1024}},
        {&KnormOfPaper::prune_after,
         {.key = "prune_after", .label = "prune after", .help = "tokens below which all is kept", .max = 1 << 20}}};
    static constexpr evictlab::Preset presets[] = {
        {"paper",
         "all layers, prompts of any length (the program's own default is prune_after=2048)",
         {},
         evictlab::Standing::published}};

    void score(evictlab::Head<KnormOfPaper> head, std::span<double> out) const {
        const auto norm = head["key_norm"];
        for (std::size_t i = 0; i < out.size(); ++i) out[i] = -norm[i];
    }

    std::size_t layer_budget(const evl_budget_query& query) const {
        const auto skipped = static_cast<std::uint32_t>(skip_layers), after = static_cast<std::uint32_t>(prune_after);
        if (query.layer < skipped || query.tokens < after) return query.tokens;
        return static_cast<std::size_t>(std::ceil((1.0 - query.removed_fraction) * query.tokens));
    }
};
EVICTLAB_SCORER(Knorm, KnormOfPaper)
