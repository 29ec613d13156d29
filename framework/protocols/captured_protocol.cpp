// SPDX-License-Identifier: MIT
#include "framework/protocols/captured_protocol.hpp"

#include <fmt/format.h>

#include "framework/scoring/stopwatch.hpp"

namespace evictlab {

CapturedProtocol::CapturedProtocol(const ProtocolSetup& setup)
    : Protocol(setup.scorers, setup.retentions), measure_time_(setup.measure_time),
      find_thresholds_(setup.find_thresholds), shape_(setup.shape), keep_(setup.keep), measured_(setup.measured) {}

Shape CapturedProtocol::bound_shape() const {
    Shape shape = shape_;
    shape.join = Join::mean;
    shape.block_score = BlockScore::sum;
    return shape;
}

void CapturedProtocol::check(const Trace& trace) const {
    const std::size_t n = trace.captured()->prompt_len();
    for (std::size_t r = 0; r < retentions_.size(); ++r)
        refuse_budget(trace, r, n, too_few(n, kept_count_for_removed(n, removed_fraction(r, n)), shape_));
}

void CapturedProtocol::refuse_budget(const Trace& trace, std::size_t retention, std::size_t n,
                                     const std::string& why) const {
    if (why.empty()) return;
    const std::string budget = keep_.empty() ? fmt::format("retention {}", retentions_[retention])
                                             : fmt::format("{} tokens kept", keep_[retention]);
    throw UsageError(fmt::format("trace {}, {} of {}: {}", trace.name(), budget, n, why));
}

std::vector<Measure> CapturedProtocol::measures() const {
    std::vector<Measure> list;
    if (measured_.output_error) list.push_back(Measure::output_error);
    list.push_back(Measure::attention_loss);
    if (measured_.predicted_kl) list.push_back(Measure::predicted_kl);
    return list;
}

std::size_t CapturedProtocol::responses(const Trace& trace) const {
    if (!measured_.predicted_kl) return 0;
    return trace.captured()->probes() * (trace.seq_len() - trace.captured()->prompt_len());
}

RowFigures CapturedProtocol::empty_row(const ContinuationDamage& damage) const {
    const std::vector<double> zeros(retentions_.size());
    RowFigures row;
    row.attention_loss = row.kept = row.cached = zeros;
    if (measured_.output_error) row.output_error = zeros;
    row.responses.resize(retentions_.size() * damage.responses());
    return row;
}

void CapturedProtocol::note(RowFigures& row, std::size_t retention, const Damage& damage, const Judge& judge,
                            std::size_t kept, std::size_t cached) const {
    if (const std::size_t count = judge.damage.responses(); count > 0)
        judge.damage.respond(judge.scratch, std::span(row.responses).subspan(retention * count, count));
    row.attention_loss[retention] = damage.attention_loss;
    if (measured_.output_error) row.output_error[retention] = damage.output_error;
    row.kept[retention] = static_cast<double>(kept);
    row.cached[retention] = static_cast<double>(cached);
}

void CapturedProtocol::note_time(double seconds, const Task& task, RowFigures& row) const {
    if (!measure_time_) return;
    row.scoring_seconds = task.column_seconds + seconds;
    row.scored_tokens = static_cast<double>(task.view.prompt);
}

ContinuationDamage CapturedProtocol::damage_of(const CapturedTrace& trace, const LayerView& view,
                                               const AttentionRows& rows) const {
    return {rows, view.prompt, measured_.output_error ? metrics_.of(trace, view.layer) : nullptr,
            measured_.predicted_kl ? trace.load_sensitivity(view.layer) : AlignedFloats{}};
}

LayerFigures CapturedProtocol::figures(const Trace& trace, std::size_t layer, const ScorerHooks& hooks,
                                       WaitingRows* waiting) const {
    heed_stop(hooks);
    const CapturedTrace& captured = *trace.captured();
    OwnedLayer loaded = captured.load_layer(layer);
    Stopwatch watch;
    captured.add_extras(loaded, {.wov_norms = scorers_.reads(ColumnNeeds::wov_norm)});
    const double norm_seconds = watch.lap();
    captured.add_extras(loaded, {.wo_grams = scorers_.reads(ColumnNeeds::wo_gram)});
    const LayerView view = loaded.view();
    const AttentionRows rows(view);
    PromptColumns columns(view, &rows, scorers_.columns().ids(), measure_time_);
    BoardColumns by_id(scorers_.columns(), columns.columns());
    PromptInput input(view, &rows, by_id);
    heed_stop(hooks);
    const ContinuationDamage damage = damage_of(captured, view, rows);
    Task task{{damage}, captured, view, columns.columns(), input, waiting};
    LayerFigures figures;
    for (std::size_t s = 0; s < scorers_.size(); ++s) {
        heed_stop(hooks);
        RowFigures& row = figures.emplace_back(empty_row(damage));
        task.row = s;
        if (hooks.skip(s)) continue;
        if (measure_time_) {
            task.column_seconds = columns.seconds(scorers_[s].columns());
            if (demand_of(scorers_[s].columns()).wov_norm) task.column_seconds += norm_seconds;
        }
        try {
            run_scorer(*scorers_.run(s), task, row);
        } catch (const PluginError& error) {
            hooks.failed(s, at_place(error, "trace " + trace.name()));
        }
    }
    if (find_thresholds_) return figures;
    for (std::size_t b = 0; b < bounds().size(); ++b) run_bound(b, task, figures.emplace_back(empty_row(damage)));
    return figures;
}

} // namespace evictlab
