// ChunkKV: whole chunks of neighbouring tokens are kept or evicted, the same ones in all heads of a layer.
// SPDX-License-Identifier: MIT
#include <evictlab/scorer.hpp>

#include <algorithm>
#include <cmath>
#include <functional>
#include <vector>

#include "head_shares.hpp"

// Gives each of the first `tokens` tokens of every head its chunk's value: the base's scores summed over heads and
// tokens, or with `mean` averaged over the chunk's tokens.
template <class Scorer>
void score_chunks(evictlab::Batch<Scorer> batch, std::size_t chunk, std::size_t tokens, bool mean,
                  std::span<double> scores) {
    for (std::size_t begin = 0; begin < tokens; begin += chunk) {
        const std::size_t end = std::min(begin + chunk, tokens);
        double value = 0;
        for (std::size_t h = 0; h < batch.heads(); ++h)
            for (std::size_t i = begin; i < end; ++i) value += batch.head(h)["base_score"][i];
        if (std::isnan(value)) value = evictlab::keep; // +inf and -inf: what is always kept wins
        if (mean) value /= static_cast<double>(end - begin);
        for (std::size_t h = 0; h < batch.heads(); ++h)
            std::ranges::fill(batch.row(scores, h).subspan(begin, end - begin), value);
    }
}

// Tokens in the `count` best of the chunks that the first `tokens` scores make up.
inline std::size_t tokens_of_best_chunks(std::span<const double> scores, std::size_t chunk, std::size_t tokens,
                                         std::size_t count) {
    std::vector<std::pair<double, std::size_t>> chunks; // value, tokens
    for (std::size_t begin = 0; begin < tokens; begin += chunk)
        chunks.emplace_back(scores[begin], std::min(chunk, tokens - begin));
    std::ranges::stable_sort(chunks, std::greater{}, &std::pair<double, std::size_t>::first);
    std::size_t kept = 0;
    for (std::size_t i = 0; i < std::min(count, chunks.size()); ++i) kept += chunks[i].second;
    return kept;
}

struct ChunkKv {
    int chunk_length = 20;

    static constexpr evictlab::Info info{
        .id = "chunkkv",
        .name = "ChunkKV",
        .description = "the mean over the chunk of the base's scores, summed over heads; whole chunks are kept",
        .reference = "Liu et al. 2025, ChunkKV, arXiv:2502.00299; NVIDIA kvpress 0.5.5, ChunkKVPress"};
    static constexpr evictlab::Columns columns{"base_score"};
    static constexpr evictlab::Parameter<ChunkKv> parameters[] = {
        {&ChunkKv::chunk_length,
         {.key = "chunk_length", .label = "chunk", .help = "in tokens", .min = 1, .max = 4096}}};
    static constexpr evictlab::Preset presets[] = {
        {"kvpress", "chunks of 20", {}, evictlab::Standing::published, "snapkv@kvpress"}};

    using Batch = evictlab::Batch<ChunkKv>;
    std::size_t chunk() const { return static_cast<std::size_t>(chunk_length); }

    void score(Batch batch, std::span<double> scores) const {
        if (batch.tokens() >= chunk()) return score_chunks(batch, chunk(), batch.tokens(), true, scores);
        for (std::size_t h = 0; h < batch.heads(); ++h) // no chunk: the base alone
            std::ranges::copy(batch.head(h)["base_score"], batch.row(scores, h).begin());
    }

    void head_budgets(Batch batch, std::span<const double> scores, std::span<std::uint64_t> kept) const {
        const std::size_t n = batch.tokens(), chunks = (n + chunk() - 1) / chunk();
        const auto share = static_cast<std::size_t>(static_cast<double>(chunks) * (1.0 - batch.removed_fraction()));
        const auto count = std::max<std::size_t>(1, share);
        std::ranges::fill(kept, n < chunk() ? batch.kept() : tokens_of_best_chunks(scores, chunk(), n, count));
    }
};

// By the paper's text: floor(K / chunk) chunks before the window, and the window.
struct ChunkKvOfPaper {
    int chunk_length = 10, window = 32;

    static constexpr evictlab::Info info{
        .id = "chunkkv",
        .name = "ChunkKV (paper)",
        .description =
            "the sum over the chunk of the base's scores; floor(K / chunk) whole chunks are kept, and the window",
        .reference = "Liu et al. 2025, ChunkKV, arXiv:2502.00299"};
    static constexpr evictlab::Columns columns{"base_score"};
    static constexpr evictlab::Parameter<ChunkKvOfPaper> parameters[] = {
        {&ChunkKvOfPaper::chunk_length,
         {.key = "chunk_length", .label = "chunk", .help = "in tokens", .min = 1, .max = 4096}},
        {&ChunkKvOfPaper::window, {.key = "window", .label = "window", .help = "newest tokens kept", .max = 4096}}};
    static constexpr evictlab::Preset presets[] = {
        {"paper", "chunks of 10; no indices are shared between layers", {}, evictlab::Standing::published}};

    using Batch = evictlab::Batch<ChunkKvOfPaper>;
    std::size_t before_window(Batch batch) const {
        return batch.tokens() - std::min(batch.tokens(), static_cast<std::size_t>(window));
    }

    void score(Batch batch, std::span<double> scores) const {
        std::ranges::fill(scores, evictlab::keep);
        score_chunks(batch, static_cast<std::size_t>(chunk_length), before_window(batch), false, scores);
        for (std::size_t h = 0; h < batch.heads(); ++h)
            for (double& score : batch.row(scores, h).first(before_window(batch))) score = below_keep(score);
    }

    void head_budgets(Batch batch, std::span<const double> scores, std::span<std::uint64_t> kept) const {
        const std::size_t tokens = before_window(batch), chunk = static_cast<std::size_t>(chunk_length);
        const std::size_t chosen = tokens_of_best_chunks(scores, chunk, tokens, batch.kept() / chunk);
        std::ranges::fill(kept, chosen + batch.tokens() - tokens);
    }
};
EVICTLAB_SCORER(ChunkKv, ChunkKvOfPaper)
