// One layer of one captured trace, held in memory for CapturedFitness: its columns, and the judge of its continuation.
// SPDX-License-Identifier: MIT
#pragma once
#include <memory>
#include <span>
#include <vector>

#include "framework/fitness/fitness.hpp"
#include "framework/protocols/captured_protocol.hpp"

namespace evictlab {

/// Scratch memory of one thread.
struct BlockScratch {
    formula::Workspace workspace;
    std::vector<formula::ColumnView> views;
    std::vector<double> scores, kept_mass;
    JudgeScratch judge;
    std::vector<std::vector<std::uint32_t>> kept;
    std::vector<float> responses; ///< [retention][response], summed over layers
};

/// What of a trace a block holds beside columns and attention.
struct BlockContent {
    std::span<const ColumnId> ids; ///< ascending, all that a job may read; must outlive the block
    std::span<const double> retentions;
    const OutputMetric* metric = nullptr; ///< null where no output error is measured
    bool sensitivity = false;
    std::size_t every = 1; ///< of the continuation's queries that judge (ContinuationDamage)
};

/// Immutable once made; safe to share between threads.
class HeldLayer {
public:
    HeldLayer(const CapturedTrace& trace, std::size_t layer, std::size_t document, const BlockContent& content);

    std::size_t document() const { return document_; }          ///< within its split
    std::size_t heads() const { return heads_; }                ///< KV heads
    std::size_t tokens() const { return tokens_; }              ///< of the prompt
    std::span<const std::size_t> kept() const { return kept_; } ///< [retention], of a head
    const ContinuationDamage& judge() const { return *judge_; }

    /// Scores of one head, [tokens], with room behind as the cut wants. Of the scratch, until its next use.
    double* score(const FitnessJob& job, std::size_t head, BlockScratch& scratch) const;
    /// Adds to `errors`, [retention].
    void attention_loss(const FitnessJob& job, BlockScratch& scratch, double* errors) const;
    /// Calls take(retention, damage) at the retentions of these indices; scratch.judge holds the change of outputs
    /// then.
    template <class Take>
    void judge(const FitnessJob& job, std::span<const std::size_t> at, BlockScratch& scratch, Take take) const {
        const std::vector<std::vector<double>> scores = all_scores(job, scratch);
        scratch.kept.resize(heads_);
        for (const std::size_t r : at) {
            for (std::size_t a = 0; a < heads_; ++a) scratch.kept[a] = top_k(scores[a], kept_[r]);
            take(r, judge_->judge(scratch.kept, scratch.judge));
        }
    }

private:
    void hold_columns(PromptColumns& columns);
    void hold_attention();
    std::vector<std::vector<double>> all_scores(const FitnessJob& job, BlockScratch& scratch) const;
    const double* column(std::size_t index, std::size_t head) const;

    std::span<const ColumnId> ids_;
    std::size_t document_, heads_ = 0, tokens_ = 0;
    std::vector<std::size_t> kept_;
    std::vector<std::vector<double>> columns_;        ///< [column]: [heads][padded tokens], or one value
    std::vector<double> mean_attention_;              ///< [heads][padded tokens]
    std::vector<double> total_;                       ///< [head], of mean_attention_
    std::unique_ptr<const ContinuationDamage> judge_; ///< without a metric where only attention loss is measured
};

} // namespace evictlab
