// EntropyGatedChunkKV: chunks by their mean score, but of chunks with few outstanding tokens these alone.
// SPDX-License-Identifier: MIT
#include <evictlab/scorer.hpp>

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>
#include <vector>

struct EgChunkKv {
    int chunk_length = 10, low = 4;

    static constexpr evictlab::Info info{
        .id = "egchunkkv",
        .name = "EntropyGatedChunkKV",
        .description =
            "1 for the tokens that are chosen in the best chunks by the base's scores, the same in all heads; "
            "of chunks whose scores have little entropy only a few",
        .reference = "NVIDIA kvpress 0.5.5, EntropyGatedChunkKVPress",
        .budgeted = true,
        .equal_layers = true};
    static constexpr evictlab::Columns columns{"base_score"};
    static constexpr evictlab::Parameter<EgChunkKv> parameters[] = {
        {&EgChunkKv::chunk_length,
         {.key = "chunk_length", .label = "chunk", .help = "in tokens", .min = 1, .max = 4096}},
        {&EgChunkKv::low,
         {.key = "low", .help = "most tokens taken of a good chunk of little entropy", .min = 1, .max = 4096}}};
    static constexpr evictlab::Preset presets[] = {
        {"kvpress", "chunks of 10", {}, evictlab::Standing::published, "snapkv@kvpress"}};

    struct Chunk {
        std::vector<std::size_t> best; ///< its tokens, the highest first
        double value, entropy;
    };

    void score(evictlab::Batch<EgChunkKv> batch, std::span<double> scores) const {
        const std::vector<double> sums = sums_over_heads(batch);
        std::vector<Chunk> chunks;
        const auto length = static_cast<std::size_t>(chunk_length);
        for (std::size_t begin = 0; begin < sums.size(); begin += length)
            chunks.push_back(chunk_of(sums, begin, std::min(sums.size(), begin + length)));
        const double good = lower_median(chunks, &Chunk::value), even = lower_median(chunks, &Chunk::entropy);
        std::ranges::stable_sort(chunks, std::greater{}, &Chunk::value);
        std::vector<bool> chosen(sums.size());
        std::size_t left = batch.kept();
        for (const Chunk& chunk : chunks) {
            const bool outstanding = chunk.value >= good && chunk.entropy < even;
            const std::size_t most = outstanding ? static_cast<std::size_t>(low) : chunk.best.size();
            left -= take(chunk.best, std::min({most, chunk.best.size(), left}), chosen);
        }
        take(by_score(sums, 0, sums.size()), left, chosen);
        for (std::size_t h = 0; h < batch.heads(); ++h) std::ranges::copy(chosen, batch.row(scores, h).begin());
    }

    // What the base always keeps or drops by infinite scores is far above or below the others.
    static std::vector<double> sums_over_heads(evictlab::Batch<EgChunkKv> batch) {
        std::vector<double> sums(batch.tokens());
        for (std::size_t h = 0; h < batch.heads(); ++h)
            for (std::size_t i = 0; i < sums.size(); ++i)
                sums[i] += std::clamp(batch.head(h)["base_score"][i], -1e100, 1e100);
        return sums;
    }

    static std::vector<std::size_t> by_score(const std::vector<double>& sums, std::size_t begin, std::size_t end) {
        std::vector<std::size_t> order(end - begin);
        std::iota(order.begin(), order.end(), begin);
        std::ranges::stable_sort(order, std::greater{}, [&](std::size_t i) { return sums[i]; });
        return order;
    }

    static Chunk chunk_of(const std::vector<double>& sums, std::size_t begin, std::size_t end) {
        Chunk chunk{by_score(sums, begin, end), 0, 0};
        const auto count = static_cast<double>(end - begin);
        const double lowest = std::min(sums[chunk.best.back()], 0.0);
        double total = 0;
        for (const std::size_t i : chunk.best) chunk.value += sums[i] / count, total += sums[i] - lowest;
        for (const std::size_t i : chunk.best) {
            const double share = (sums[i] - lowest) / (total + 1e-8);
            chunk.entropy -= share * std::log(share + 1e-8);
        }
        chunk.entropy = chunk.best.size() > 1 ? std::clamp(chunk.entropy / std::log(count), 0.0, 1.0) : 0;
        return chunk;
    }

    static double lower_median(const std::vector<Chunk>& chunks, double Chunk::*member) {
        std::vector<double> values;
        for (const Chunk& chunk : chunks) values.push_back(chunk.*member);
        const auto middle = values.begin() + static_cast<std::ptrdiff_t>((values.size() - 1) / 2);
        std::nth_element(values.begin(), middle, values.end());
        return *middle;
    }

    // Chooses the first `count` of these tokens that are not chosen yet; how many there were.
    static std::size_t take(const std::vector<std::size_t>& tokens, std::size_t count, std::vector<bool>& chosen) {
        std::size_t taken = 0;
        for (auto at = tokens.begin(); at != tokens.end() && taken < count; ++at) {
            taken += chosen[*at] ? 0 : 1;
            chosen[*at] = true;
        }
        return taken;
    }
};
EVICTLAB_SCORER(EgChunkKv)
