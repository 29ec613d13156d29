// The protocol `rescore` on one layer.
// SPDX-License-Identifier: MIT
#pragma once
#include <tbb/enumerable_thread_specific.h>

#include <map>
#include <memory>
#include <span>
#include <vector>

#include "framework/protocols/held_rows.hpp"
#include "framework/protocols/protocol.hpp"

namespace evictlab {

/// The protocol `rescore`, the seed's: everything is ranked again at every query. Judges every scorer, and the oracle,
/// on one layer of one trace in one pass over its rows.
class LayerJudge final : public Protocol {
public:
    LayerJudge(std::span<const Scorer> scorers, std::span<const double> retentions);

    std::string_view name() const override { return "rescore"; }
    std::vector<std::string> bounds() const override { return {"oracle"}; }
    std::vector<std::string> measures() const override { return {"attention_loss"}; }
    bool keeps_ledger() const override { return false; }
    bool uneven(std::size_t) const override { return false; }
    void create_instances(std::map<std::size_t, PluginError>& failures) override;
    void end_instances(std::map<std::size_t, PluginError>& failures) override;
    /// Mean errors over the layer's judged rows and heads.
    LayerFigures judge(const Trace& trace, std::size_t layer, const JudgeHooks& hooks) const override;
    double cost(const Trace& trace) const override;

private:
    friend class LayerRun;
    std::span<const Scorer> scorers_;
    std::span<const double> retentions_;
    std::vector<ColumnId> columns_;                      ///< of all scorers, without repetition
    std::vector<std::vector<std::size_t>> column_index_; ///< [scorer] its columns' places in columns_
    std::vector<std::unique_ptr<ScorerInstance>> shared_;
    mutable tbb::enumerable_thread_specific<HeldRows> held_;
};

} // namespace evictlab
