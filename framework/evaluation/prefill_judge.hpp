// The protocol `prefill`: a scorer sees a captured layer once, at the end of the prompt; what it keeps is judged on the
// continuation's queries. As NVIDIA's kvpress evicts. SPDX-License-Identifier: MIT
#pragma once
#include <mutex>

#include "framework/capture/captured_suite.hpp"
#include "framework/evaluation/continuation_judge.hpp"
#include "framework/evaluation/prompt_columns.hpp"
#include "framework/evaluation/protocol.hpp"
#include "framework/evaluation/selection.hpp"

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
    LayerArrays arrays_;
    std::vector<float> wov_norm_;
    AttentionRows rows_;
    LayerView view_;
};

/// What a layer's scorers read, in the shape of the plugin contract. Refers to the view and, for the columns, to a
/// board of `ids`.
class LayerInputs {
public:
    LayerInputs(const LayerView& view, std::span<const ColumnId> ids, ColumnBoard& board, std::uint64_t tensor_window);
    const LayerInput& of(const Scorer& scorer);

private:
    void read_window(std::uint64_t queries);
    const LayerView& view_;
    std::vector<float> window_attn_;
    evl_tensors tensors_{};
    LayerInput input_;
};

class PrefillJudge final : public Protocol {
public:
    PrefillJudge(std::span<const Scorer> scorers, std::span<const double> retentions, bool measures_output);
    std::string_view name() const override { return "prefill"; }
    std::vector<std::string> bounds() const override { return {"oracle", "oracle (layer budget)"}; }
    std::vector<std::string> measures() const override;
    bool keeps_ledger() const override { return true; }
    bool uneven(std::size_t row) const override;
    void create_instances(std::map<std::size_t, PluginError>& failures) override;
    LayerFigures judge(const Trace& trace, std::size_t layer, const JudgeHooks& hooks) const override;
    double cost(const Trace& trace) const override;

private:
    using KeptSets = std::vector<std::vector<std::uint32_t>>; ///< [kv_heads], ascending positions
    void judge_scorer(std::size_t scorer, const LayerInput& input, const ContinuationJudge& judge,
                      JudgeScratch& scratch, double* figures) const;
    void judge_oracles(const ContinuationJudge& judge, JudgeScratch& scratch, double* figures) const;
    void note(const ContinuationJudge& judge, const KeptSets& kept, std::size_t retention, JudgeScratch& scratch,
              double* figures) const;

    std::span<const Scorer> scorers_;
    std::span<const double> retentions_;
    bool measures_output_;
    std::vector<ColumnId> columns_; ///< of all scorers, without repetition
    std::uint64_t tensor_window_ = 0;
    OutputMetrics metrics_;
    std::vector<std::unique_ptr<ScorerRun>> shared_; ///< of scorers that may run in several threads at once
};

} // namespace evictlab
