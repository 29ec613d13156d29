// KeyDiff: keys that point another way than the mean key are kept. kvpress compares all at once; the paper goes through
// the prompt in blocks, keeping K tokens at each step.
// SPDX-License-Identifier: MIT
#include <evictlab/scorer.hpp>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

struct KeyDiff {
    static constexpr evictlab::Info info{
        .id = "keydiff",
        .name = "KeyDiff",
        .description = "minus the cosine between the key and the mean of all unit keys",
        .reference = "Park et al. 2025, KeyDiff, arXiv:2504.15364; NVIDIA kvpress 0.5.5, KeyDiffPress"};
    static constexpr evictlab::Columns columns{"key_cos"};
    static constexpr evictlab::Preset presets[] = {
        {"kvpress", "it has no parameters", {}, evictlab::Standing::published}};

    void score(evictlab::Head<KeyDiff> head, std::span<double> out) const {
        const auto cosine = head["key_cos"];
        for (std::size_t i = 0; i < out.size(); ++i) out[i] = -cosine[i];
    }
};

struct KeyDiffOfPaper {
    int block = 128;

    static constexpr evictlab::Info info{
        .id = "keydiff",
        .name = "KeyDiff (paper)",
        .description = "1 for the K tokens that are left after all blocks, else 0",
        .reference = "Park et al. 2025, KeyDiff, arXiv:2504.15364; NVIDIA kvpress 0.5.5, BlockPress over KeyDiffPress",
        .budgeted = true,
        .tensors = true};
    static constexpr evictlab::Columns columns{};
    static constexpr evictlab::Parameter<KeyDiffOfPaper> parameters[] = {
        {&KeyDiffOfPaper::block, {.key = "block", .label = "block", .help = "in tokens", .min = 1, .max = 1 << 20}}};
    static constexpr evictlab::Preset presets[] = {{"paper", "blocks of 128", {}, evictlab::Standing::published}};

    void score(evictlab::Head<KeyDiffOfPaper> head, std::span<double> out) const {
        const std::size_t n = out.size(), kept_count = head.kept(), step = static_cast<std::size_t>(block);
        const evl_tensors& tensors = *head.tensors();
        const float* keys = tensors.k + static_cast<std::ptrdiff_t>(head.index()) * tensors.k_stride;
        std::vector<std::size_t> kept(std::min(kept_count, n));
        std::iota(kept.begin(), kept.end(), std::size_t{0});
        for (std::size_t i = kept.size(); i < n; i += step) {
            for (std::size_t j = i; j < std::min(i + step, n); ++j) kept.push_back(j);
            keep_farthest(keys, tensors.dim, kept, kept_count);
        }
        std::ranges::fill(out, 0.0);
        for (const std::size_t j : kept) out[j] = 1;
    }

    // Leaves of the candidates the `count` whose keys are farthest from their mean direction, in order of position.
    static void keep_farthest(const float* keys, std::size_t dim, std::vector<std::size_t>& candidates,
                              std::size_t count) {
        std::vector<double> anchor(dim), norms;
        for (const std::size_t j : candidates) {
            norms.push_back(std::sqrt(std::inner_product(keys + j * dim, keys + (j + 1) * dim, keys + j * dim, 0.0)));
            for (std::size_t m = 0; m < dim; ++m)
                anchor[m] += keys[j * dim + m] / std::max(norms.back(), 1e-12) / static_cast<double>(candidates.size());
        }
        const double length = std::sqrt(std::inner_product(anchor.begin(), anchor.end(), anchor.begin(), 0.0));
        std::vector<std::pair<double, std::size_t>> cosines; // among equal ones the lower position comes first
        for (std::size_t c = 0; c < candidates.size(); ++c) {
            const float* key = keys + candidates[c] * dim;
            const double product = std::inner_product(anchor.begin(), anchor.end(), key, 0.0);
            cosines.emplace_back(product / std::max(norms[c], 1e-8) / std::max(length, 1e-8), candidates[c]);
        }
        std::ranges::sort(cosines);
        candidates.clear();
        for (std::size_t c = 0; c < std::min(count, cosines.size()); ++c) candidates.push_back(cosines[c].second);
        std::ranges::sort(candidates);
    }
};
EVICTLAB_SCORER(KeyDiff, KeyDiffOfPaper)
