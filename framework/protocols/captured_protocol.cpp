// SPDX-License-Identifier: MIT
#include "framework/protocols/captured_protocol.hpp"

namespace evictlab {

CapturedProtocol::CapturedProtocol(const ProtocolSetup& setup)
    : Protocol(setup.scorers, setup.retentions), measured_(setup.measured) {}

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

double CapturedProtocol::cost(const Trace& trace) const {
    const auto n = static_cast<double>(trace.seq_len());
    return n * n / 2 * static_cast<double>(trace.heads());
}

RowFigures CapturedProtocol::empty_row(const ContinuationDamage& damage) const {
    const std::vector<double> zeros(retentions_.size());
    return {zeros, measured_.output_error ? zeros : std::vector<double>{},     zeros, zeros,
            {},    std::vector<float>(retentions_.size() * damage.responses())};
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

ContinuationDamage CapturedProtocol::damage_of(const CapturedTrace& trace, const LayerView& view,
                                               const AttentionRows& rows) const {
    return {rows, view.prompt, measured_.output_error ? metrics_.of(trace, view.layer) : nullptr,
            measured_.predicted_kl ? trace.load_sensitivity(view.layer) : AlignedFloats{}};
}

LayerFigures CapturedProtocol::figures(const Trace& trace, std::size_t layer, const ScorerHooks& hooks,
                                       WaitingRows* waiting) const {
    heed_stop(hooks);
    const CapturedTrace& captured = *trace.captured();
    const OwnedLayer loaded = captured.load_layer(
        layer, {.wov_norms = scorers_.reads(ColumnNeeds::wov_norm), .wo_grams = scorers_.reads(ColumnNeeds::wo_gram)});
    const LayerView view = loaded.view();
    const AttentionRows rows(view);
    PromptColumns columns(view, &rows, scorers_.columns().ids());
    BoardColumns by_id(scorers_.columns(), columns.columns());
    PromptInput input(view, &rows, by_id);
    heed_stop(hooks);
    const ContinuationDamage damage = damage_of(captured, view, rows);
    Task task{{damage}, view, columns.columns(), input, waiting};
    LayerFigures figures;
    for (std::size_t s = 0; s < scorers_.size(); ++s) {
        heed_stop(hooks);
        RowFigures& row = figures.emplace_back(empty_row(damage));
        task.row = s;
        if (hooks.skip(s)) continue;
        try {
            run_scorer(*scorers_.run(s), task, row);
        } catch (const PluginError& error) {
            hooks.failed(s, at_place(error, "trace " + trace.name()));
        }
    }
    for (std::size_t b = 0; b < bounds().size(); ++b) run_bound(b, task, figures.emplace_back(empty_row(damage)));
    return figures;
}

} // namespace evictlab
