// What eviction of prompt tokens does to the continuation of one captured layer, for any kept set: attention loss,
// output error, and the layer's part in the predicted KL divergence. Recorded queries, keys and values stay those of
// the full run (open loop). SPDX-License-Identifier: MIT
#pragma once
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "framework/attention/attention_rows.hpp"
#include "framework/damage/deep_rows.hpp"

namespace evictlab {

/// What ||W_o x|| is measured with: the upper triangle R of W_o = Q R, so that ||W_o x|| = ||R x||.
struct OutputMetric {
    std::size_t width = 0; ///< query_heads * dim
    AlignedFloats r;       ///< [width][width], 0 below the diagonal
    /// `o_proj` is [hidden][width].
    static OutputMetric of(std::span<const float> o_proj, std::size_t width);
};

struct Damage {
    /// Mean over query heads and judged queries of the attention on evicted tokens.
    double attention_loss = 0;
    /// Mean over judged queries of ||y - y'||^2 / ||y||^2, y being the attention block's output of all heads; NaN
    /// without an OutputMetric.
    double output_error = 0;
};

/// Scratch memory of one thread.
class DamageScratch {
    friend class ContinuationDamage;
    AlignedFloats change_, product_, part_, kept_part_, squares_;
    std::vector<std::uint32_t> evicted_;
};

/// Immutable once made; safe to share between threads. Memory: query_heads x prompt x judged queries floats.
class ContinuationDamage {
public:
    /// Judges queries prompt .. tokens - 1 of the layer; 0 < prompt < tokens. `metric` may be null and must outlive it.
    /// `sensitivity` is CapturedTrace::load_sensitivity()'s, or empty. With `every` above 1 only each such query
    /// judges, the first one of the continuation being one: cheaper, and nearly the same.
    ContinuationDamage(const AttentionRows& rows, std::size_t prompt, const OutputMetric* metric,
                       std::span<const float> sensitivity = {}, std::size_t every = 1);

    std::size_t kv_heads() const { return shape_.kv_heads; }
    std::size_t group() const { return shape_.group(); }
    std::size_t prompt() const { return prompt_; }
    std::size_t judged() const { return judged_; } ///< queries
    std::size_t tokens() const { return shape_.tokens; }
    /// A[head][prompt + query][token] of the full run, for a judged query: its place among those that judge.
    float attention(std::size_t head, std::size_t token, std::size_t query) const {
        const bool in_prompt = token < prompt_;
        const std::size_t row = in_prompt ? head * prompt_ + token : head * (shape_.tokens - prompt_) + token - prompt_;
        return (in_prompt ? attention_ : rest_attention_)[row * judged_stride_ + query];
    }
    bool measures_output() const { return metric_ != nullptr; }
    /// [prompt] of a KV head: attention to each prompt token, mean over judged queries and the group's query heads.
    std::span<const double> mean_attention(std::size_t kv_head) const {
        return {mean_attention_.data() + kv_head * prompt_, prompt_};
    }
    /// `kept[a]`: positions that KV head a keeps, ascending.
    double attention_loss(std::span<const std::vector<std::uint32_t>> kept) const;
    Damage of(std::span<const std::vector<std::uint32_t>> kept, DamageScratch& scratch) const;

    /// The output error of other outputs than those of kept sets: start, set every head and judged query, measure.
    void start_change(DamageScratch& scratch) const;
    /// `output` is o' [dim] of one query head at one judged query.
    void set_change(std::size_t head, std::size_t query, const float* output, DamageScratch& scratch) const;
    /// Whether the change that was set is small beside the outputs: then it is rounding in good part, until every head
    /// and query is refined.
    bool is_small(DamageScratch& scratch) const;
    /// Finds what set_change() took, a difference, to full precision: `evicted` are the tokens, of all that the query
    /// sees, that o' does without.
    void refine(std::size_t head, std::size_t query, std::span<const std::uint32_t> evicted,
                DamageScratch& scratch) const;
    double output_error_of_change(DamageScratch& scratch) const; ///< NaN without an OutputMetric

    /// Numbers that respond() adds to: probes * judged queries; 0 without a sensitivity.
    std::size_t responses() const { return probes_ * judged_; }
    /// Adds to `out`, [probe][judged query], what the change that of() or set_change() left in the scratch does to
    /// the probes' log-likelihoods, to first order. Sums over layers are what predicted_kl() takes.
    void respond(const DamageScratch& scratch, std::span<float> out) const;

private:
    void read_rows(const AttentionRows& rows);
    void measure_outputs();
    void read_sensitivity(std::span<const float> sensitivity);
    void change_outputs(std::span<const std::vector<std::uint32_t>> kept, DamageScratch& scratch) const;
    void find_evicted(std::span<const std::uint32_t> kept, DamageScratch& scratch) const;
    void add_head(std::size_t head, std::span<const std::uint32_t> kept, DamageScratch& scratch) const;
    /// [dim + 1][judged_stride_]: of A v and of A over some of the prompt's tokens.
    void sum_selected(std::size_t head, std::span<const std::uint32_t> tokens, AlignedFloats& sums) const;
    void refine_head(std::size_t head, DamageScratch& scratch) const;
    void set_deep_change(std::size_t head, std::size_t query, std::span<const std::uint32_t> kept,
                         DamageScratch& scratch) const;
    double value(std::size_t kv_head, std::size_t token, std::size_t channel) const;
    /// [judged] squares of ||R x|| for x [width][judged_stride_], into sums.
    void squared_norms(const AlignedFloats& x, AlignedFloats& product, std::vector<double>& sums) const;

    LayerShape shape_;
    std::size_t prompt_, every_, judged_, judged_stride_, sums_stride_;
    const OutputMetric* metric_;
    std::size_t probes_ = 0;
    AlignedFloats sensitivity_;    ///< [probes][query_heads * dim][judged_stride_]
    AlignedFloats attention_;      ///< [query_heads][prompt][judged_stride_]
    AlignedFloats rest_attention_; ///< [query_heads][continuation][judged_stride_], of the continuation's tokens
    AlignedFloats values_;         ///< [kv_heads][dim + 1][prompt]: transposed, then a row of ones
    AlignedFloats rest_values_;    ///< [kv_heads][dim + 1][continuation], likewise
    /// [query_heads][dim + 1][judged_stride_]: sums of A v and of A over the prompt, and over the continuation.
    AlignedFloats of_prompt_, of_rest_;
    std::vector<double> mean_attention_; ///< [kv_heads][prompt]
    std::vector<double> output_norms_;   ///< [judged], ||y||^2
    AlignedFloats head_norms_;           ///< [judged_stride_], ||o||^2 of all heads
    DeepRows deep_rows_;
};

/// sums[i] = sum over x of a[x][i] * b[x][i], for rows of `stride`.
void dot_rows(const float* a, const float* b, std::size_t rows, std::size_t stride, float* sums);

/// The KL divergence (nats a token) that responses [probe][judged query], summed over layers, foretell: half the mean
/// of their squares, which is the second order of the divergence under the Fisher information of the full run's
/// predictions. It leaves out what later layers make of changed queries, and all higher orders.
double predicted_kl(std::span<const float> responses);

} // namespace evictlab
