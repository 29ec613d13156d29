// Knorm: keys of small norm attract attention, so large norms go first.
// SPDX-License-Identifier: MIT
#include <evictlab/scorer.hpp>

struct Knorm {
    static constexpr evictlab::Info info{
        .id = "knorm",
        .name = "Knorm",
        .description = "minus the L2 norm of the key",
        .reference = "Devoto et al. 2024, A Simple and Effective L2 Norm-Based Strategy for KV Cache Compression, "
                     "arXiv:2406.11430"};
    static constexpr evictlab::Columns columns{"key_norm"};
    static constexpr evictlab::Preset presets[] = {{"seed", "the original benchmark's rule"}};

    void score(evictlab::Head<Knorm> head, std::span<double> out) const {
        const auto norm = head["key_norm"];
        for (std::size_t i = 0; i < out.size(); ++i) out[i] = -norm[i];
    }
};
EVICTLAB_SCORER(Knorm)
