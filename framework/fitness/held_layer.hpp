// One layer of one captured trace, held in memory for PrefillFitness: its columns, and the damage to its continuation.
// SPDX-License-Identifier: MIT
#pragma once
#include <memory>
#include <span>
#include <vector>

#include "framework/capture/captured_trace.hpp"
#include "framework/cut/shaped_cut.hpp"
#include "framework/damage/continuation_damage.hpp"
#include "framework/fitness/fitness.hpp"
#include "framework/scoring/held_columns.hpp"

namespace evictlab {

/// Scratch memory of one thread.
struct HeldScratch {
    std::vector<double> scores, kept_mass, all_scores;
    DamageScratch damage;
    std::vector<std::vector<std::uint32_t>> kept;
    std::vector<float> responses; ///< [retention][response], summed over layers
};

/// What of a trace a layer holds beside columns and attention.
struct HeldContent {
    const ColumnPlaces& places;    ///< of all that a job may read
    std::vector<std::size_t> kept; ///< [retention], of a head
    const Shape& shape;
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
        all_scores(job, scratch.all_scores, scratch);
        for (const std::size_t r : at) take(r, damage_->of(sets(scratch.all_scores, r, scratch), scratch.damage));
    }
    /// Scores of all heads, [heads][tokens], behind what is there.
    void add_scores(const FitnessJob& job, std::vector<double>& to, HeldScratch& scratch) const;
    /// What the heads keep by such scores at a retention; of the scratch, until its next use. Not by
    /// Granularity::model.
    const KeptSets& sets(std::span<const double> scores, std::size_t retention, HeldScratch& scratch) const;
    /// Attention of the judged queries that lies on what is not kept, as attention_loss() has it.
    double loss_of(const KeptSets& sets) const;

private:
    void hold_attention();
    void all_scores(const FitnessJob& job, std::vector<double>& to, HeldScratch& scratch) const {
        to.clear();
        add_scores(job, to, scratch);
    }

    std::size_t document_, heads_ = 0, tokens_ = 0;
    Shape shape_;
    std::vector<std::size_t> kept_;
    HeldColumns columns_;
    std::vector<double> mean_attention_;               ///< [heads][padded tokens]
    std::vector<double> total_;                        ///< [head], of mean_attention_
    std::unique_ptr<const ContinuationDamage> damage_; ///< without a metric where only attention loss is measured
};

} // namespace evictlab
