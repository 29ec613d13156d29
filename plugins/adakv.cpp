// AdaKV: any scorer's scores, with the layer's budget divided among its heads by where the highest scores lie.
// SPDX-License-Identifier: MIT
#include <evictlab/scorer.hpp>

#include <cmath>

#include "head_shares.hpp"

struct AdaKv {
    double alpha = 0.2;

    static constexpr evictlab::Info info{
        .id = "adakv",
        .name = "AdaKV",
        .description = "the base's scores; heads share the budget by the layer's highest, each at least alpha K of it",
        .reference = "Feng et al. 2024, Ada-KV, arXiv:2407.11550; NVIDIA kvpress 0.5.5, AdaKVPress",
        .equal_layers = true};
    static constexpr evictlab::Columns columns{"base_score"};
    static constexpr evictlab::Parameter<AdaKv> parameters[] = {
        {&AdaKv::alpha, {.key = "alpha", .label = "alpha", .help = "share of the budget that each head is sure of"}}};
    static constexpr evictlab::Preset presets[] = {{"kvpress",
                                                    "alpha 0.2",
                                                    {},
                                                    evictlab::Standing::published,
                                                    "snapkv@kvpress,expected_attention@kvpress,evolved@real"}};

    void score(evictlab::Head<AdaKv> head, std::span<double> out) const {
        std::ranges::copy(head["base_score"], out.begin());
    }

    void head_budgets(evictlab::Batch<AdaKv> batch, std::span<const double> scores,
                      std::span<std::uint64_t> kept) const {
        share_among_heads(scores, safeguarded(batch.kept(), alpha, true), batch.heads() * batch.kept(), kept);
    }
};

// The authors count before the window, mix with an equal share and round, so that the sum may drift by a few tokens.
struct AdaKvOfPaper {
    int window = 32;
    double alpha = 0.2;
    bool normalize = false;

    static constexpr evictlab::Info info{
        .id = "adakv",
        .name = "AdaKV (paper)",
        .description =
            "the base's scores, its window above all; budgets are alpha equal and 1 - alpha by the highest scores",
        .reference = "AdaKV efe4e2e; Feng et al. 2024, Ada-KV, arXiv:2407.11550"};
    static constexpr evictlab::Columns columns{"base_score"};
    static constexpr evictlab::Parameter<AdaKvOfPaper> parameters[] = {
        {&AdaKvOfPaper::window, {.key = "window", .label = "window", .help = "newest tokens kept", .max = 4096}},
        {&AdaKvOfPaper::alpha, {.key = "alpha", .label = "alpha", .help = "share that is divided equally"}},
        {&AdaKvOfPaper::normalize,
         {.key = "normalize",
          .label = "normalise",
          .help = "heads by the share of their best, as KVCache-Factory has it"}}};
    static constexpr evictlab::Preset presets[] = {{"paper",
                                                    "for snapkv@paper, whose window is 32 as well",
                                                    {{"window", 32}, {"alpha", 0.2}},
                                                    evictlab::Standing::published,
                                                    "snapkv@paper"}};

    void score(evictlab::Head<AdaKvOfPaper> head, std::span<double> out) const {
        const auto base = head["base_score"];
        for (std::size_t i = 0; i < out.size(); ++i)
            out[i] = i + static_cast<std::size_t>(window) < out.size() ? below_keep(base[i]) : evictlab::keep;
    }

    void head_budgets(evictlab::Batch<AdaKvOfPaper> batch, std::span<const double> scores,
                      std::span<std::uint64_t> kept) const {
        const std::size_t n = batch.tokens(), last = static_cast<std::size_t>(window), heads = batch.heads();
        std::ranges::fill(kept, std::uint64_t{batch.kept()});
        if (batch.kept() <= last || n <= batch.kept()) return;
        const std::size_t scored = batch.kept() - last;
        std::vector<double> before; // [heads][n - window]
        for (std::size_t h = 0; h < heads; ++h) {
            const auto row = batch.row(scores, h).first(n - last);
            const double scale = normalize ? share_of_best(row, scored) : 1;
            for (const double value : row) before.push_back(is_ordinary(value) ? value * scale : value);
        }
        share_among_heads(before, 0, heads * scored, kept);
        const auto equal = static_cast<float>(static_cast<std::size_t>(static_cast<double>(scored) * alpha));
        for (std::uint64_t& count : kept) {
            const float mixed = static_cast<float>(count) * static_cast<float>(1 - alpha) + equal;
            count = std::min<std::uint64_t>(static_cast<std::uint64_t>(std::nearbyint(mixed)) + last, n);
        }
    }

    /// Neither kept always nor evicted first.
    static bool is_ordinary(double score) { return std::fabs(score) < std::numeric_limits<double>::max(); }

    static double share_of_best(std::span<const double> row, std::size_t count) {
        std::vector<double> sorted(row.begin(), row.end());
        std::ranges::sort(sorted, std::greater{});
        double best = 0, all = 0;
        for (std::size_t i = 0; i < sorted.size(); ++i)
            if (is_ordinary(sorted[i])) (i < count ? best : all) += sorted[i];
        return best + all != 0 ? best / (best + all) : 1;
    }
};
EVICTLAB_SCORER(AdaKv, AdaKvOfPaper)
