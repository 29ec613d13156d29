// What the protocols on captured suites share: loading a layer, its columns, what scorers read of it, and the ledger.
// SPDX-License-Identifier: MIT
#pragma once
#include <mutex>

#include "framework/capture/captured_suite.hpp"
#include "framework/damage/continuation_damage.hpp"
#include "framework/protocols/protocol.hpp"
#include "framework/scoring/prompt_columns.hpp"
#include "framework/scoring/scorer_run.hpp"

namespace evictlab {

/// The output metrics of a model's layers, made when first asked for. Thread-safe.
class OutputMetrics {
public:
    /// Null where the trace's suite has no output projection for the layer.
    const OutputMetric* of(const CapturedTrace& trace, std::size_t layer) const;

private:
    struct Entry {
        std::once_flag once;
        OutputMetric metric;
    };
    mutable std::mutex mutex_;
    mutable std::map<std::pair<const OutputProjections*, std::size_t>, std::unique_ptr<Entry>> entries_;
};

/// One captured layer, loaded, with all that a view of it refers to. Not movable.
class CapturedLayer {
public:
    /// `wov_norm`: also CriticalKV's norms, from the trace or else from the output projections.
    CapturedLayer(const CapturedTrace& trace, std::size_t layer, bool wov_norm);
    CapturedLayer(const CapturedLayer&) = delete;
    CapturedLayer& operator=(const CapturedLayer&) = delete;
    const LayerView& view() const { return view_; }
    const AttentionRows& rows() const { return rows_; }

private:
    LayerTensors tensors_;
    std::vector<float> wov_norm_;
    AttentionRows rows_;
    LayerView view_;
};

/// What a layer's scorers read at the end of the prompt, in the shape of the plugin contract. Refers to the view.
class LayerInputs {
public:
    LayerInputs(const LayerView& view, std::function<ColumnValues(ColumnId)> columns);
    /// With as many queries' attention as this scorer asks for, whatever others do. Until the next call.
    const LayerInput& of(const Scorer& scorer);

private:
    void read_window(std::uint64_t queries);
    const LayerView& view_;
    std::vector<float> window_attn_;
    evl_tensors tensors_{};
    LayerInput input_;
};

/// LayerInput::columns from a board of `ids`, ascending. Refers to both.
std::function<ColumnValues(ColumnId)> board_columns(std::span<const ColumnId> ids, ColumnBoard& board);

/// What a captured suite's traces let a protocol measure beside attention loss.
struct CapturedMeasures {
    bool output_error = false; ///< all have output projections
    bool predicted_kl = false; ///< all have sensitivities
};

/// Measures output_error, attention_loss and predicted_kl, and keeps a ledger.
class CapturedProtocol : public Protocol {
public:
    CapturedProtocol(std::span<const Scorer> scorers, std::span<const double> retentions, CapturedMeasures measured);
    std::vector<std::string> measures() const override;
    bool keeps_ledger() const override { return true; }
    std::size_t responses(const Trace& trace) const override;
    void create_instances(std::map<std::size_t, PluginError>& failures) override;
    void end_instances(std::map<std::size_t, PluginError>& failures) override;
    LayerFigures judge(const Trace& trace, std::size_t layer, const JudgeHooks& hooks) const override;
    double cost(const Trace& trace) const override;

protected:
    /// One layer in the course of judge().
    struct Task {
        const CapturedLayer& loaded;
        const ContinuationDamage& judge;
        ColumnBoard& columns; ///< of columns_, at the end of the prompt
        LayerInputs& inputs;
        JudgeScratch scratch{};
    };
    /// Where a row's figures go.
    struct Figures {
        double* row;
        std::size_t retentions;
        CapturedMeasures measured;
        float* responses;          ///< [retention][ContinuationDamage::responses()]
        double* continuation_kept; ///< [retention]; null where the protocol has no such figure
        /// The task's scratch holds the change of outputs that made the damage.
        void note(std::size_t retention, const Damage& damage, const Task& task, std::size_t kept,
                  std::size_t cached) const;
    };
    /// Whether figures have continuation_kept.
    virtual bool follows_continuation() const { return false; }
    virtual void judge_scorer(std::size_t scorer, const ScorerRun& run, Task& task, const Figures& figures) const = 0;
    virtual void judge_bound(std::size_t bound, Task& task, const Figures& figures) const = 0;

    std::span<const Scorer> scorers_;
    std::span<const double> retentions_;
    CapturedMeasures measured_;
    std::vector<ColumnId> columns_; ///< of all scorers, ascending, without repetition

private:
    Figures figures_of(LayerFigures& figures, std::size_t row, const ContinuationDamage& judge) const;
    bool wov_norm_ = false;
    OutputMetrics metrics_;
    std::vector<std::unique_ptr<ScorerRun>> shared_; ///< of scorers that may run in several threads at once
};

} // namespace evictlab
