// Adaptive R-KV as OpenVINO GenAI has it: the best blocks by attention, and of the rest those least like each other.
// SPDX-License-Identifier: MIT
#pragma once
#include <evictlab/scorer.h>

#include <cmath>
#include <functional>

#include "openvino_blocks.hpp"

/// The blocks that leave `stay` of them. The best stay until they have that share of all values; for the places that
/// are left the others compete by diversity(others), a number for each of these, the highest of which stay.
template <class Diversity>
OpenVinoBlockList openvino_adaptive(std::span<const double> values, std::size_t stay, double share,
                                    Diversity diversity) {
    const double enough = share * std::accumulate(values.begin(), values.end(), 0.0);
    OpenVinoBlockList order(values.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::ranges::stable_sort(order, std::greater{}, [&](std::size_t b) { return values[b]; });
    std::size_t taken = 0;
    for (double sum = 0; taken < stay && sum < enough; ++taken) sum += values[order[taken]];
    OpenVinoBlockList others(order.begin() + static_cast<std::ptrdiff_t>(taken), order.end());
    std::ranges::sort(others);
    if (taken == stay) return others;
    const std::vector<double> how_diverse = diversity(std::span<const std::size_t>(others));
    OpenVinoBlockList leaving;
    for (const std::size_t i : openvino_lowest(how_diverse, stay - taken)) leaving.push_back(others[i]);
    return leaving;
}

/// Keys of the candidates' tokens in one KV head, each of the length 1: [dim][tokens].
class OpenVinoDirections {
public:
    OpenVinoDirections(const float* keys, std::size_t tokens, std::size_t dim)
        : tokens_(tokens), dim_(dim), values_(tokens * dim) {
        for (std::size_t i = 0; i < tokens; ++i) {
            const float* const key = keys + i * dim;
            double squares = 1.19e-7; // as its kernel has it
            for (std::size_t m = 0; m < dim; ++m) squares += static_cast<double>(key[m]) * static_cast<double>(key[m]);
            for (std::size_t m = 0; m < dim; ++m)
                values_[m * tokens + i] = static_cast<double>(key[m]) / std::sqrt(squares);
        }
    }
    /// Cosines of a token and all of them: 0 for itself, and for those below the mean.
    void alike(std::size_t token, std::span<double> cosines) const {
        std::ranges::fill(cosines, 0.0);
        for (std::size_t m = 0; m < dim_; ++m) {
            const double* const row = values_.data() + m * tokens_;
            const double own = row[token];
            for (std::size_t i = 0; i < tokens_; ++i) cosines[i] += own * row[i];
        }
        cosines[token] = 0;
        const double mean = std::accumulate(cosines.begin(), cosines.end(), 0.0) / static_cast<double>(tokens_);
        for (double& cosine : cosines) cosine = cosine < mean ? 0 : cosine;
    }

private:
    std::size_t tokens_, dim_;
    std::vector<double> values_;
};

/// Of each of the `others`: how little its keys resemble those of all the others, mean over the KV heads. The
/// candidates are `tokens` tokens of the layer, from `first_token` on.
inline std::vector<double> openvino_diversity(const evl_tensors& layer, std::size_t first_token, std::size_t tokens,
                                              std::size_t block, std::span<const std::size_t> others) {
    std::vector<double> diversity(others.size()), cosines(tokens);
    const double cells = static_cast<double>(others.size() * block) * layer.kv_heads;
    for (std::size_t h = 0; h < layer.kv_heads; ++h) {
        const float* const keys = layer.k + static_cast<std::ptrdiff_t>(h) * layer.k_stride + first_token * layer.dim;
        const OpenVinoDirections directions(keys, tokens, layer.dim);
        for (std::size_t o = 0; o < others.size(); ++o)
            for (std::size_t i = others[o] * block; i < (others[o] + 1) * block; ++i) {
                directions.alike(i, cosines);
                for (const std::size_t b : others)
                    for (std::size_t t = b * block; t < (b + 1) * block; ++t) diversity[o] -= cosines[t] / cells;
            }
    }
    return diversity;
}
