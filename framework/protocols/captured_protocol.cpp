// SPDX-License-Identifier: MIT
#include "framework/protocols/captured_protocol.hpp"

#include <algorithm>
#include <optional>

namespace evictlab {

const OutputMetric* OutputMetrics::of(const CapturedTrace& trace, std::size_t layer) const {
    const OutputProjections* projections = trace.output_projections();
    if (!projections || !projections->has(layer)) return nullptr;
    Entry* entry = nullptr;
    {
        const std::lock_guard lock(mutex_);
        auto& slot = entries_[{projections, layer}];
        if (!slot) slot = std::make_unique<Entry>();
        entry = slot.get();
    }
    std::call_once(entry->once,
                   [&] { entry->metric = OutputMetric::of(projections->load(layer), projections->input_size(layer)); });
    return &entry->metric;
}

CapturedLayer::CapturedLayer(const CapturedTrace& trace, std::size_t layer, bool wov_norm)
    : tensors_(trace.load_layer(layer)), rows_(tensors_) {
    if (wov_norm && !tensors_.wov_l1.empty())
        wov_norm_ = tensors_.wov_l1;
    else if (wov_norm && trace.output_projections() && trace.output_projections()->has(layer))
        wov_norm_ = wov_norms(tensors_.arrays(), trace.output_projections()->load(layer));
    view_ = {&rows_,
             layer,
             trace.num_layers(),
             trace.prompt_len(),
             trace.token_type(),
             wov_norm_.empty() ? nullptr : wov_norm_.data()};
}

LayerInputs::LayerInputs(const LayerView& view, std::function<ColumnValues(ColumnId)> columns) : view_(view) {
    const LayerArrays& layer = view.tensors();
    const LayerShape& shape = layer.shape;
    tensors_ = {sizeof(evl_tensors),
                static_cast<std::uint32_t>(shape.query_heads),
                static_cast<std::uint32_t>(shape.kv_heads),
                static_cast<std::uint32_t>(view.tokens),
                static_cast<std::uint32_t>(shape.dim),
                layer.q,
                layer.k,
                layer.v,
                static_cast<std::ptrdiff_t>(layer.q_stride),
                static_cast<std::ptrdiff_t>(layer.k_stride),
                static_cast<std::ptrdiff_t>(layer.v_stride),
                static_cast<double>(layer.softmax_scale),
                layer.sliding_window,
                layer.rope_inv_freq.data(),
                static_cast<double>(layer.rope_scale),
                view.wov_norm,
                static_cast<std::ptrdiff_t>(shape.tokens),
                0,
                nullptr};
    input_.layer = view.layer;
    input_.num_layers = view.num_layers;
    input_.heads = shape.kv_heads;
    input_.tokens = input_.sequence_len = view.tokens;
    input_.columns = std::move(columns);
}

std::function<ColumnValues(ColumnId)> board_columns(std::span<const ColumnId> ids, ColumnBoard& board) {
    return [ids, &board](ColumnId id) {
        const auto at = std::ranges::lower_bound(ids, id) - ids.begin();
        ColumnValues values;
        values.data = board.filled(static_cast<std::size_t>(at), values.head_stride);
        return values;
    };
}

void LayerInputs::read_window(std::uint64_t queries) {
    const std::size_t n = view_.tokens, count = std::min<std::size_t>(queries, n), stride = view_.rows->stride();
    if (count == tensors_.window_queries) return;
    const std::size_t heads = view_.shape().query_heads;
    AlignedFloats rows(count * stride);
    window_attn_.resize(heads * count * n);
    for (std::size_t h = 0; h < heads; ++h) {
        view_.rows->compute(h, n - count, count, rows.data());
        for (std::size_t i = 0; i < count; ++i)
            std::copy_n(rows.data() + i * stride, n, window_attn_.data() + (h * count + i) * n);
    }
    tensors_.window_queries = count;
    tensors_.window_attn = count > 0 ? window_attn_.data() : nullptr;
}

const LayerInput& LayerInputs::of(const Scorer& scorer) {
    if (scorer.wants_tensors()) read_window(scorer.tensor_window());
    input_.tensors = scorer.wants_tensors() ? &tensors_ : nullptr;
    return input_;
}

CapturedProtocol::CapturedProtocol(std::span<const Scorer> scorers, std::span<const double> retentions,
                                   CapturedMeasures measured)
    : scorers_(scorers), retentions_(retentions), measured_(measured), columns_(columns_of(scorers)),
      shared_(scorers.size()) {
    for (const Scorer& scorer : scorers) wov_norm_ = wov_norm_ || scorer.wants_tensors();
    for (const ColumnId id : columns_) wov_norm_ = wov_norm_ || columns::needs(id) == ColumnNeeds::wov_norm;
}

std::vector<std::string> CapturedProtocol::measures() const {
    std::vector<std::string> names;
    if (measured_.output_error) names.emplace_back("output_error");
    names.emplace_back("attention_loss");
    if (measured_.predicted_kl) names.emplace_back(responses_measure);
    return names;
}

std::size_t CapturedProtocol::responses(const Trace& trace) const {
    if (!measured_.predicted_kl) return 0;
    return trace.captured()->probes() * (trace.seq_len() - trace.captured()->prompt_len());
}

void CapturedProtocol::create_instances(std::map<std::size_t, PluginError>& failures) {
    for_each_scorer(scorers_.size(), failures, [this](std::size_t s) {
        auto run = std::make_unique<ScorerRun>(scorers_[s]);
        if (run->concurrent())
            shared_[s] = std::move(run);
        else
            run->end();
    });
}

void CapturedProtocol::end_instances(std::map<std::size_t, PluginError>& failures) {
    for_each_scorer(scorers_.size(), failures, [this](std::size_t s) {
        if (shared_[s]) shared_[s]->end();
    });
}

double CapturedProtocol::cost(const Trace& trace) const {
    const auto n = static_cast<double>(trace.seq_len());
    return n * n / 2 * static_cast<double>(trace.heads());
}

CapturedProtocol::Figures CapturedProtocol::figures_of(LayerFigures& figures, std::size_t row,
                                                       const ContinuationDamage& judge) const {
    const std::size_t width = (measures().size() + 2) * retentions_.size();
    return {figures.values.data() + row * width, retentions_.size(), measured_,
            figures.responses.data() + row * judge.responses() * retentions_.size(),
            follows_continuation() ? figures.continuation_kept.data() + row * retentions_.size() : nullptr};
}

void CapturedProtocol::Figures::note(std::size_t retention, const Damage& damage, const Task& task, std::size_t kept,
                                     std::size_t cached) const {
    double* out = row + retention;
    if (const std::size_t count = task.judge.responses(); count > 0)
        task.judge.respond(task.scratch, {responses + retention * count, count});
    if (measured.output_error) {
        *out = damage.output_error;
        out += retentions;
    }
    *out = damage.attention_loss;
    if (measured.predicted_kl) out += retentions;
    out[retentions] = static_cast<double>(kept);
    out[2 * retentions] = static_cast<double>(cached);
}

LayerFigures CapturedProtocol::judge(const Trace& trace, std::size_t layer, const JudgeHooks& hooks) const {
    const auto check_stop = [&] {
        if (hooks.stop && hooks.stop->load(std::memory_order_relaxed)) throw Interrupted("stopped");
    };
    check_stop();
    const CapturedTrace& captured = *trace.captured();
    const CapturedLayer loaded(captured, layer, wov_norm_);
    PromptColumns columns(loaded.view(), columns_);
    LayerInputs inputs(loaded.view(), board_columns(columns_, columns.columns()));
    check_stop();
    const ContinuationDamage judge(loaded.rows(), captured.prompt_len(),
                                   measured_.output_error ? metrics_.of(captured, layer) : nullptr,
                                   measured_.predicted_kl ? captured.load_sensitivity(layer) : AlignedFloats{});
    Task task{loaded, judge, columns.columns(), inputs};
    const std::size_t cells = (scorers_.size() + bounds().size()) * retentions_.size();
    LayerFigures figures{std::vector<double>(cells * (measures().size() + 2)),
                         std::vector<float>(cells * judge.responses()),
                         std::vector<double>(follows_continuation() ? cells : 0)};
    for (std::size_t s = 0; s < scorers_.size(); ++s) {
        check_stop();
        if (hooks.skip(s)) continue;
        try {
            std::optional<ScorerRun> own;
            if (!shared_[s]) own.emplace(scorers_[s]);
            judge_scorer(s, own ? *own : *shared_[s], task, figures_of(figures, s, judge));
        } catch (const PluginError& error) {
            hooks.failed(
                s, PluginError(error.plugin, error.phase, error.cause + " (trace " + trace.name() + ")", error.blame));
        }
    }
    for (std::size_t b = 0; b < bounds().size(); ++b)
        judge_bound(b, task, figures_of(figures, scorers_.size() + b, judge));
    return figures;
}

} // namespace evictlab
