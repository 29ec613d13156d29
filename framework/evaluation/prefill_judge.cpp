// SPDX-License-Identifier: MIT
#include "framework/evaluation/prefill_judge.hpp"

#include <algorithm>
#include <optional>

#include "framework/evaluation/scorecard.hpp"

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
    : tensors_(trace.load_layer(layer)), arrays_(tensors_.arrays()), rows_(arrays_) {
    if (wov_norm && !tensors_.wov_l1.empty())
        wov_norm_ = tensors_.wov_l1;
    else if (wov_norm && trace.output_projections() && trace.output_projections()->has(layer))
        wov_norm_ = wov_norms(arrays_, trace.output_projections()->load(layer));
    view_ = {&arrays_,
             &rows_,
             layer,
             trace.num_layers(),
             trace.prompt_len(),
             trace.token_type(),
             wov_norm_.empty() ? nullptr : wov_norm_.data()};
}

LayerInputs::LayerInputs(const LayerView& view, std::span<const ColumnId> ids, ColumnBoard& board,
                         std::uint64_t tensor_window)
    : view_(view) {
    const LayerArrays& layer = *view.arrays;
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
    if (tensor_window > 0) read_window(tensor_window);
    input_.layer = view.layer;
    input_.num_layers = view.num_layers;
    input_.heads = shape.kv_heads;
    input_.tokens = input_.sequence_len = view.tokens;
    input_.columns = [ids, &board](ColumnId id) {
        const auto at = std::ranges::lower_bound(ids, id) - ids.begin();
        ColumnValues values;
        values.data = board.filled(static_cast<std::size_t>(at), values.head_stride);
        return values;
    };
}

void LayerInputs::read_window(std::uint64_t queries) {
    const std::size_t n = view_.tokens, count = std::min<std::size_t>(queries, n), stride = view_.rows->stride();
    const std::size_t heads = view_.shape().query_heads;
    AlignedFloats rows(count * stride);
    window_attn_.resize(heads * count * n);
    for (std::size_t h = 0; h < heads; ++h) {
        view_.rows->compute(h, n - count, count, rows.data());
        for (std::size_t i = 0; i < count; ++i)
            std::copy_n(rows.data() + i * stride, n, window_attn_.data() + (h * count + i) * n);
    }
    tensors_.window_queries = count;
    tensors_.window_attn = window_attn_.data();
}

const LayerInput& LayerInputs::of(const Scorer& scorer) {
    input_.tensors = scorer.wants_tensors() ? &tensors_ : nullptr;
    return input_;
}

PrefillJudge::PrefillJudge(std::span<const Scorer> scorers, std::span<const double> retentions, bool measures_output)
    : scorers_(scorers), retentions_(retentions), measures_output_(measures_output), columns_(columns_of(scorers)),
      shared_(scorers.size()) {
    for (const Scorer& scorer : scorers) tensor_window_ = std::max(tensor_window_, scorer.tensor_window());
}

std::vector<std::string> PrefillJudge::measures() const {
    if (measures_output_) return {"output_error", "attention_loss"};
    return {"attention_loss"};
}

bool PrefillJudge::uneven(std::size_t row) const {
    return row < scorers_.size() ? scorers_[row].allocates() : row > scorers_.size();
}

void PrefillJudge::create_instances(std::map<std::size_t, PluginError>& failures) {
    for (std::size_t s = 0; s < scorers_.size(); ++s) {
        try {
            auto run = std::make_unique<ScorerRun>(scorers_[s]);
            if (run->concurrent()) shared_[s] = std::move(run);
        } catch (const PluginError& error) {
            failures.emplace(s, error);
        }
    }
}

double PrefillJudge::cost(const Trace& trace) const {
    const auto n = static_cast<double>(trace.seq_len());
    return n * n / 2 * static_cast<double>(trace.heads());
}

LayerFigures PrefillJudge::judge(const Trace& trace, std::size_t layer, const JudgeHooks& hooks) const {
    const CapturedTrace& captured = *trace.captured();
    const bool wov =
        std::ranges::any_of(columns_, [](ColumnId id) { return columns::needs(id) == ColumnNeeds::wov_norm; }) ||
        std::ranges::any_of(scorers_, &Scorer::wants_tensors);
    const CapturedLayer loaded(captured, layer, wov);
    const auto check_stop = [&] {
        if (hooks.stop && hooks.stop->load(std::memory_order_relaxed)) throw Interrupted("stopped");
    };
    check_stop();
    PromptColumns columns(loaded.view(), columns_);
    LayerInputs inputs(loaded.view(), columns_, columns.columns(), tensor_window_);
    check_stop();
    const ContinuationJudge judge(loaded.rows(), captured.prompt_len(),
                                  measures_output_ ? metrics_.of(captured, layer) : nullptr);
    JudgeScratch scratch;
    const std::size_t width = (measures().size() + 2) * retentions_.size();
    LayerFigures figures((scorers_.size() + bounds().size()) * width);
    for (std::size_t s = 0; s < scorers_.size(); ++s) {
        check_stop();
        if (hooks.skip(s)) continue;
        try {
            judge_scorer(s, inputs.of(scorers_[s]), judge, scratch, figures.data() + s * width);
        } catch (const PluginError& error) {
            hooks.failed(s, PluginError(error.plugin, error.phase, error.cause + " (trace " + trace.name() + ")"));
        }
    }
    judge_oracles(judge, scratch, figures.data() + scorers_.size() * width);
    return figures;
}

void PrefillJudge::judge_scorer(std::size_t scorer, const LayerInput& input, const ContinuationJudge& judge,
                                JudgeScratch& scratch, double* figures) const {
    std::optional<ScorerRun> own;
    if (!shared_[scorer]) own.emplace(scorers_[scorer]);
    LayerSelection selection(own ? *own : *shared_[scorer], input);
    KeptSets kept(input.heads);
    for (std::size_t r = 0; r < retentions_.size(); ++r) {
        selection.select(1.0 - retentions_[r]);
        for (std::size_t a = 0; a < input.heads; ++a)
            kept[a] = top_k(selection.scores().subspan(a * input.tokens, input.tokens), selection.kept_per_head()[a]);
        note(judge, kept, r, scratch, figures);
    }
}

void PrefillJudge::judge_oracles(const ContinuationJudge& judge, JudgeScratch& scratch, double* figures) const {
    const std::size_t n = judge.prompt(), heads = judge.kv_heads();
    const std::size_t width = (measures().size() + 2) * retentions_.size();
    std::vector<double> all;
    for (std::size_t a = 0; a < heads; ++a)
        all.insert(all.end(), judge.mean_attention(a).begin(), judge.mean_attention(a).end());
    for (std::size_t r = 0; r < retentions_.size(); ++r) {
        const std::size_t budget = kept_count_for_removed(n, 1.0 - retentions_[r]);
        KeptSets kept(heads);
        for (std::size_t a = 0; a < heads; ++a) kept[a] = top_k(judge.mean_attention(a), budget);
        note(judge, kept, r, scratch, figures);
        KeptSets of_layer(heads);
        for (const std::uint32_t i : top_k(all, heads * budget))
            of_layer[i / n].push_back(i % static_cast<std::uint32_t>(n));
        note(judge, of_layer, r, scratch, figures + width);
    }
}

void PrefillJudge::note(const ContinuationJudge& judge, const KeptSets& kept, std::size_t retention,
                        JudgeScratch& scratch, double* figures) const {
    const std::size_t count = retentions_.size();
    double* out = figures + retention;
    if (measures_output_) {
        const Damage damage = judge.judge(kept, scratch);
        *out = damage.output_error;
        out += count;
        *out = damage.attention_loss;
    } else {
        *out = judge.attention_loss(kept);
    }
    for (const auto& of_head : kept) out[count] += static_cast<double>(of_head.size());
    out[2 * count] = static_cast<double>(judge.kv_heads() * judge.prompt());
}

} // namespace evictlab
