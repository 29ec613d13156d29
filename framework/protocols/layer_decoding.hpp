// One layer's cache while a model decodes, fed token by token: what the protocol `decode` decides of a captured layer,
// for a continuation that is not known yet. SPDX-License-Identifier: MIT
#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "framework/cut/shaped_cut.hpp"
#include "framework/protocols/cache_choosers.hpp"
#include "framework/scoring/prompt_columns.hpp"

namespace evictlab {

/// Why a scorer cannot decide while decoding, whatever the model, or "".
std::string decoding_refusal(const Scorer& scorer, const Shape& shape);

/// What comes with a token: queries, keys and values as the attention uses them.
struct DecodedToken {
    const float *q = nullptr, *k = nullptr, *v = nullptr;    ///< one vector of `dim` a head
    std::ptrdiff_t q_stride = 0, k_stride = 0, v_stride = 0; ///< from one head to the next
    const float* wov_norm = nullptr;                         ///< [query_heads]; read where the prompt's are known
    double token_type = 0;
};

/// Not thread-safe. Refers to the run and to what the view has of the model: calibration and output projection.
class LayerDecoding {
public:
    /// Copies the view's prompt, and has room for `longest` tokens in all. The view's queries begin at first_query, and
    /// may be null where the scorer reads none of the prompt's.
    LayerDecoding(const ScorerRun& run, const LayerView& prompt, std::size_t longest, const Shape& shape);
    ~LayerDecoding();
    LayerDecoding(const LayerDecoding&) = delete;
    LayerDecoding& operator=(const LayerDecoding&) = delete;

    /// Once, before all else: positions of the prompt that each head keeps. Throws PluginError.
    KeptSets first(double removed_fraction);
    /// The next token is cached and attends; then heads that hold more are cut to `capacity` tokens, or, where there is
    /// a threshold, by that; 0 cuts nothing. Gives the slots that stay where the cache was cut. Throws PluginError;
    /// UsageError where there is no room.
    std::optional<KeptSets> step(const DecodedToken& token, std::size_t capacity);
    std::size_t kv_heads() const { return view_.shape.kv_heads; }
    std::size_t tokens(std::size_t head) const { return heads_[head].tokens(); } ///< that are cached now

private:
    void copy_prompt(const LayerView& prompt);
    void take(const DecodedToken& token);

    LayerView view_;
    AlignedFloats q_, k_, v_; ///< [head][room][dim]
    std::vector<float> rope_, wov_norm_;
    std::vector<double> wo_gram_, token_type_;
    ColumnPlaces places_;
    std::optional<AttentionRows> rows_;
    std::optional<PromptColumns> columns_;
    std::optional<BoardColumns> by_id_;
    std::optional<PromptInput> input_;
    std::unique_ptr<ScoringChooser> chooser_;
    CachedHeads heads_;
    std::size_t next_; ///< position of the next token
};

} // namespace evictlab
