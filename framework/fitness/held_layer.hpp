// One layer of one captured trace, held in memory for PrefillFitness: its columns, and the damage to its continuation.
// SPDX-License-Identifier: MIT
#pragma once
#include <memory>
#include <span>
#include <vector>

#include "framework/capture/captured_trace.hpp"
#include "framework/cut/top_k.hpp"
#include "framework/damage/continuation_damage.hpp"
#include "framework/fitness/fitness.hpp"
#include "framework/scoring/held_columns.hpp"

namespace evictlab {

/// Scratch memory of one thread.
struct HeldScratch {
    std::vector<double> scores, kept_mass;
    DamageScratch damage;
    std::vector<std::vector<std::uint32_t>> kept;
    std::vector<float> responses; ///< [retention][response], summed over layers
};

/// What of a trace a layer holds beside columns and attention.
struct HeldContent {
    const ColumnPlaces& places; ///< of all that a job may read
    std::span<const double> retentions;
    const OutputMetric* metric = nullptr; ///< null where no output error is measured
    bool sensitivity = false;
    std::size_t every = 1; ///< of the continuation's queries that judge (ContinuationDamage)
};

/// Immutable once made; safe to share between threads.
class HeldLayer {
public:
    HeldLayer(const CapturedTrace& trace, std::size_t layer, std::size_t document, const HeldContent& content);

    std::size_t document() const { return document_; }          ///< within its split
    std::size_t heads() const { return heads_; }                ///< KV heads
    std::size_t tokens() const { return tokens_; }              ///< of the prompt
    std::span<const std::size_t> kept() const { return kept_; } ///< [retention], of a head
    const ContinuationDamage& damage() const { return *damage_; }

    /// Scores of one head, [tokens], with room behind as the cut wants. Of the scratch, until its next use.
    double* score(const FitnessJob& job, std::size_t head, HeldScratch& scratch) const;
    /// Adds to `errors`, [retention].
    void attention_loss(const FitnessJob& job, HeldScratch& scratch, double* errors) const;
    /// Calls take(retention, damage) at the retentions of these indices; scratch.damage holds the change of outputs
    /// then.
    template <class Take>
    void evict(const FitnessJob& job, std::span<const std::size_t> at, HeldScratch& scratch, Take take) const {
        const std::vector<std::vector<double>> scores = all_scores(job, scratch);
        scratch.kept.resize(heads_);
        for (const std::size_t r : at) {
            for (std::size_t a = 0; a < heads_; ++a) scratch.kept[a] = top_k(scores[a], kept_[r]);
            take(r, damage_->of(scratch.kept, scratch.damage));
        }
    }

private:
    void hold_attention();
    std::vector<std::vector<double>> all_scores(const FitnessJob& job, HeldScratch& scratch) const;

    std::size_t document_, heads_ = 0, tokens_ = 0;
    std::vector<std::size_t> kept_;
    HeldColumns columns_;
    std::vector<double> mean_attention_;               ///< [heads][padded tokens]
    std::vector<double> total_;                        ///< [head], of mean_attention_
    std::unique_ptr<const ContinuationDamage> damage_; ///< without a metric where only attention loss is measured
};

} // namespace evictlab
