// What the protocols on captured suites share: a loaded layer, its columns, what scorers read of it, and the ledger.
// SPDX-License-Identifier: MIT
#pragma once
#include <string>

#include "framework/cut/budget.hpp"
#include "framework/cut/shaped_cut.hpp"
#include "framework/damage/continuation_damage.hpp"
#include "framework/damage/output_metrics.hpp"
#include "framework/protocols/protocol.hpp"
#include "framework/scoring/prompt_columns.hpp"

namespace evictlab {

/// Runs a cut by a scorer's budgets, which may be less than what is protected: that is the scorer's failure.
template <class Cut>
auto cut_by(const Scorer& scorer, Cut cut) {
    try {
        return cut();
    } catch (const UsageError& error) {
        throw PluginError(scorer.label(), "cut", error.what());
    }
}

/// Measures output_error, attention_loss and predicted_kl, and keeps a ledger.
class CapturedProtocol : public Protocol {
public:
    explicit CapturedProtocol(const ProtocolSetup& setup);
    std::vector<Measure> measures() const override;
    bool keeps_ledger() const override { return true; }
    std::size_t responses(const Trace& trace) const override;
    void check(const Trace& trace) const override;
    LayerFigures figures(const Trace& trace, std::size_t layer, const ScorerHooks& hooks,
                         WaitingRows* waiting) const override;

protected:
    /// A layer that judges kept sets.
    struct Judge {
        const ContinuationDamage& damage;
        DamageScratch scratch{};
    };
    /// One layer in the course of figures().
    struct Task : Judge {
        const CapturedTrace& trace;
        const LayerView& view;
        ColumnBoard& columns; ///< of ScorerPool::columns(), at the end of the prompt
        PromptInput& input;
        WaitingRows* waiting;      ///< may be null
        std::size_t row = 0;       ///< that is run
        double column_seconds = 0; ///< what its columns took, where time is measured
    };
    /// Takes the figures of one retention: `damage`, whose change of outputs is in the judge's scratch, and the ledger.
    void note(RowFigures& row, std::size_t retention, const Damage& damage, const Judge& judge, std::size_t kept,
              std::size_t cached) const;
    ContinuationDamage damage_of(const CapturedTrace& trace, const LayerView& view, const AttentionRows& rows) const;
    /// The share that goes of n tokens.
    double removed_fraction(std::size_t retention, std::size_t n) const {
        return keep_.empty() ? 1.0 - retentions_[retention] : removed_fraction_for_kept(n, keep_[retention]);
    }
    /// That of the `retention`-th budget cannot be had of n tokens, as `why` says, if it is not empty.
    void refuse_budget(const Trace& trace, std::size_t retention, std::size_t n, const std::string& why) const;
    const Shape& shape() const { return shape_; }
    /// What bounds are cut by: what shares a set counts by its attention.
    Shape bound_shape() const;
    bool measures_time() const { return measure_time_; }
    bool finds_thresholds() const { return find_thresholds_; }
    /// What scoring the prompt took, beside its columns.
    void note_time(double seconds, const Task& task, RowFigures& row) const;
    virtual void run_scorer(const ScorerRun& run, Task& task, RowFigures& row) const = 0;
    virtual void run_bound(std::size_t bound, Task& task, RowFigures& row) const = 0;

private:
    RowFigures empty_row(const ContinuationDamage& damage) const;
    bool measure_time_, find_thresholds_;
    Shape shape_;
    std::span<const std::size_t> keep_;
    CapturedMeasures measured_;
    OutputMetrics metrics_;
};

} // namespace evictlab
