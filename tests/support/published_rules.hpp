// How published methods cut a cache while decoding. Each rule is told what its tokens received and says which stay; it
// computes no attention itself. One object a head, or a layer where the rule has one set a layer. Not thread-safe.
// SPDX-License-Identifier: MIT
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace evictlab::test {

/// Indices into the cache, ascending: those that stay.
using Slots = std::vector<std::uint32_t>;

/// Both parts of H2O's budget, in tokens.
struct H2oBudget {
    std::size_t heavy = 0, recent = 0;
    /// Of the prompt's length, each part truncated.
    static H2oBudget of_ratios(std::size_t prompt, double heavy_ratio, double recent_ratio);
};

/// H2O's accuracy experiments (Zhang et al. 2023, their repository at ac75c2a): nothing is dropped, a mask hides tokens
/// from the next step. One object a query head.
class H2oMaskSimulation {
public:
    explicit H2oMaskSimulation(H2oBudget budget) : budget_(budget) {}

    /// Positions that the next step may see; a position behind the end of the mask may be seen.
    bool visible(std::size_t position) const { return position >= mask_.size() || mask_[position]; }
    /// What each of t keys received in this step, summed over its queries, which attended under visible(). The prompt
    /// is the first step.
    void step(std::span<const double> received);
    /// [t] What is remembered of each token's attention; 0 for the forgotten.
    std::span<const double> accumulated() const { return accumulated_; }

private:
    H2oBudget budget_;
    std::vector<double> accumulated_;
    std::vector<bool> mask_; ///< of the next step, its own key included
};

/// H2O as a cache: what is not kept is gone. One object a head.
class H2oRealDrop {
public:
    explicit H2oRealDrop(H2oBudget budget) : budget_(budget) {}
    /// What each cached token received in this step, new ones last. Gives the slots that stay.
    Slots step(std::span<const double> received);

private:
    H2oBudget budget_;
    std::vector<double> accumulated_; ///< of the cached tokens
};

/// TOVA (Oren et al. 2024, their repository at 9c7d09b): the `capacity` highest of the last query's attention, mean
/// over all heads of the layer; the newest token is not protected. After the prompt once, then at every step.
Slots tova_cut(std::span<const double> last_attention, std::size_t capacity);

/// StreamingLLM (Xiao et al. 2023, their repository at 2e50426): the first `start` and the last `recent` tokens.
struct StreamingLlmCache {
    std::size_t start = 4, recent = 2000;
    /// Before a step that adds `added` tokens, so that they will fit (chat).
    Slots make_room(std::size_t cached, std::size_t added) const;
    /// After a token (perplexity).
    Slots cut(std::size_t cached) const { return make_room(cached, 0); }
};

/// When kvpress's DecodingPress (0.5.5) compresses: one object a layer, told of every forward behind the prompt.
class DecodingPressSchedule {
public:
    struct Options {
        std::size_t interval = 512; ///< forwards
        std::size_t target = 2048;  ///< tokens that a compression leaves
        std::size_t buffer = 256;   ///< forwards whose hidden states stay
    };
    /// What to do after a forward.
    struct Action {
        bool compress = false;
        std::size_t kept = 0;               ///< K for the base press
        double removed_fraction = 0;        ///< a c that gives K
        std::size_t forwards_in_buffer = 0; ///< the base press sees the hidden states of so many, this one included
    };
    explicit DecodingPressSchedule(Options options) : options_(options) {}
    /// `tokens` were added, and the cache now holds `cached`.
    Action forward(std::size_t tokens, std::size_t cached);

private:
    Options options_;
    std::size_t counter_ = 0, buffered_ = 0;
};

/// The target of kvpress's decoding by ratio: max(1, (int)(seen (1 - ratio))).
std::size_t decoding_target(std::size_t tokens_seen, double ratio);

} // namespace evictlab::test
