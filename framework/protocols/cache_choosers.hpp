// Who decides what stays in a cache while decoding: a scorer at a fixed capacity, a scorer with a threshold, or the
// oracle. One layer of one trace. SPDX-License-Identifier: MIT
#pragma once
#include <cstdint>
#include <memory>
#include <vector>

#include "framework/cut/shaped_cut.hpp"
#include "framework/damage/continuation_damage.hpp"
#include "framework/protocols/protocol.hpp"
#include "framework/scoring/cached_head.hpp"
#include "framework/scoring/column_board.hpp"
#include "framework/scoring/scorer_run.hpp"

namespace evictlab {

using CachedHeads = std::vector<CachedHead>;

/// Not thread-safe. Called in the order first(), then for each query saw() and, when the cache is to be cut, again().
class CacheChooser {
public:
    virtual ~CacheChooser() = default;
    /// Positions of the prompt that each head keeps, ascending.
    virtual KeptSets first(double removed_fraction) = 0;
    /// The heads attend to the query of their last token.
    virtual void saw(CachedHeads& heads) = 0;
    /// Whether there is anything to cut.
    virtual bool full(const CachedHeads& heads, std::size_t capacity) const { return heads[0].tokens() > capacity; }
    /// Slots that each head keeps, ascending.
    virtual KeptSets again(CachedHeads& heads, std::size_t capacity) = 0;
};

/// What a scorer is given of a layer: its columns at the end of the prompt, and the rest of its input.
struct ChooserTask {
    const LayerView& view;
    const ColumnBoard& columns;
    PromptInput& input;
};

/// Feeds a scorer's columns the rows over what is cached.
class ScoringChooser : public CacheChooser {
public:
    ScoringChooser(const ScorerRun& run, const ChooserTask& task, const Shape& shape)
        : run_(run), task_(task), shape_(shape), places_(run.scorer().columns()) {}
    KeptSets first(double removed_fraction) override;
    void saw(CachedHeads& heads) override;
    double seconds() const { return seconds_; } ///< that scoring took behind the prompt

protected:
    /// The scores of the newest `tokens` of every head, and a selection among them.
    KeptSets select(std::size_t heads, std::size_t tokens, double removed_fraction, std::vector<double>& scores);
    /// `scores`: [heads][prompt] of the prompt, or empty where nothing was scored.
    virtual void decided_prompt(std::span<const double>) {}
    void forget(std::size_t head, std::span<const std::uint32_t> kept) { board_->keep(head, kept); }
    std::size_t sequence_len() const { return sequence_len_; }
    double removed_fraction() const { return removed_fraction_; }
    const ScorerRun& run_;

private:
    ChooserTask task_;
    Shape shape_;
    ColumnPlaces places_;
    std::unique_ptr<ColumnBoard> board_;
    std::vector<std::vector<double>> layer_rows_; ///< the board may hand out the last ones
    std::size_t sequence_len_ = 0;
    double removed_fraction_ = 0;

protected:
    double seconds_ = 0;
};

/// Keeps the `capacity` best of each head.
class CapacityChooser final : public ScoringChooser {
public:
    using ScoringChooser::ScoringChooser;
    KeptSets again(CachedHeads& heads, std::size_t capacity) override;
};

/// A scorer with a threshold: a token goes for good, or stays for good, when it leaves the newest `window`. Scored then
/// are the tokens whose fate is open, which all heads still have.
class ThresholdChooser final : public ScoringChooser {
public:
    /// `decided`: where to note each score that decided, and for how many queries up to `end` its token would be cached
    /// from then on; or null.
    ThresholdChooser(const ScorerRun& run, const ChooserTask& task, std::size_t end, std::vector<DecidedScore>* decided)
        : ScoringChooser(run, task, {}), open_(0), prompt_(task.view.prompt), end_(end), decided_(decided) {}
    KeptSets first(double removed_fraction) override;
    bool full(const CachedHeads& heads, std::size_t capacity) const override;
    KeptSets again(CachedHeads& heads, std::size_t capacity) override;

private:
    void decided_prompt(std::span<const double> scores) override;
    void note(std::span<const double> scores, std::size_t queries);
    std::size_t open_; ///< the first position whose fate is open
    std::size_t prompt_, end_;
    std::vector<DecidedScore>* decided_;
};

/// Keeps what the judged queries still to come attend to most.
class OracleChooser final : public CacheChooser {
public:
    OracleChooser(const ContinuationDamage& damage, const Shape& shape) : damage_(damage), shape_(shape) {}
    KeptSets first(double removed_fraction) override;
    void saw(CachedHeads& heads) override;
    KeptSets again(CachedHeads& heads, std::size_t capacity) override;

private:
    void count(std::size_t head, std::size_t judged, double sign);
    const ContinuationDamage& damage_;
    Shape shape_;
    std::vector<std::vector<double>> to_come_; ///< [kv_head][token], attention in the judged queries still to come
    std::size_t next_ = 0;
};

} // namespace evictlab
