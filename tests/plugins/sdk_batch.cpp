// A scorer that looks across heads, and counts its calls: not safe for concurrent use, since score() is not const.
// SPDX-License-Identifier: MIT
#include <evictlab/scorer.hpp>

struct SdkBatch {
    double calls = 0;

    static constexpr evictlab::Info info{.id = "sdk_batch", .name = "SDK batch", .deterministic = false};
    static constexpr evictlab::Columns columns{"key_norm"};

    void score(evictlab::Batch<SdkBatch> batch, std::span<double> scores) {
        ++calls;
        for (std::size_t i = 0; i < batch.tokens(); ++i) {
            double sum = 0;
            for (std::size_t h = 0; h < batch.heads(); ++h) sum += batch.head(h)["key_norm"][i];
            for (std::size_t h = 0; h < batch.heads(); ++h) scores[h * batch.tokens() + i] = sum + 1000 * calls;
        }
    }
};
EVICTLAB_SCORER(SdkBatch)
