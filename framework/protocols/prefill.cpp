// SPDX-License-Identifier: MIT
#include "framework/protocols/prefill.hpp"

#include <algorithm>
#include <array>
#include <limits>
#include <map>

#include "framework/protocols/captured_protocol.hpp"
#include "framework/scoring/model_selection.hpp"
#include "framework/scoring/stopwatch.hpp"

namespace evictlab {
namespace {

constexpr double retentions[] = {0.1, 0.25, 0.5, 0.75};

std::size_t tokens_in(const KeptSets& kept) {
    std::size_t count = 0;
    for (const auto& of_head : kept) count += of_head.size();
    return count;
}

class Prefill final : public CapturedProtocol {
public:
    using CapturedProtocol::CapturedProtocol;
    std::string_view name() const override { return "prefill"; }
    /// The prompt tokens with the largest attention in the judged queries: per set of the shape and, where each head
    /// has its own, over the layer and, beside scorers that have budgets of this kind, over the model.
    std::vector<std::string> bounds() const override {
        std::vector<std::string> names{std::string(oracle_name)};
        if (shape().granularity != Granularity::head) return names;
        names.emplace_back(layer_oracle_name);
        if (divides_model()) names.emplace_back(model_oracle_name);
        return names;
    }
    BudgetKind budgets(std::size_t row) const override {
        if (row < scorers_.size()) return class_of(scorers_[row]).budget_kind();
        constexpr std::array kinds{BudgetKind::uniform, BudgetKind::head, BudgetKind::model};
        return kinds[row - scorers_.size()];
    }
    std::unique_ptr<WaitingRows> waiting_rows(const Trace& trace) const override;

private:
    class ModelRows;
    bool one_set() const { return shape().granularity == Granularity::model; }
    bool divides_model() const {
        return std::ranges::any_of(scorers_.scorers(), [](const Scorer& scorer) {
            return class_of(scorer).budget_kind() == BudgetKind::model;
        });
    }
    bool waits(const Scorer& scorer) const { return one_set() || scorer.needs_model(); }
    void run_scorer(const ScorerRun& run, Task& task, RowFigures& row) const override;
    void run_bound(std::size_t bound, Task& task, RowFigures& row) const override;
    void judge(const KeptSets& kept, std::size_t retention, Judge& judge, RowFigures& row) const;
    void find_thresholds(LayerSelection& selection, const LayerInput& input, RowFigures& row) const;
    std::vector<double> removed_fractions(std::size_t n) const;
};

/// Rows of scorers that look at the whole model, or one set for it: the scores of each layer are held until all are
/// known. A layer is loaded, and what judges it computed, a second time then: that of all layers would need far more
/// memory.
class Prefill::ModelRows final : public WaitingRows {
public:
    ModelRows(const Prefill& protocol, const CapturedTrace& trace)
        : protocol_(protocol), trace_(trace), layers_(trace.held_layers()), attention_(layers_.size()),
          kept_by_bound_(layers_.size()) {
        for (std::size_t s = 0; s < protocol.scorers_.size(); ++s)
            if (protocol.waits(protocol.scorers_[s]))
                rows_.try_emplace(s, protocol.removed_fractions(trace.prompt_len()), protocol.shape());
    }
    void add(std::size_t row, const ScorerRun& run, const LayerInput& input) { rows_.at(row).add(run, input); }
    void add_attention(std::size_t layer, const ContinuationDamage& damage) {
        std::vector<double>& all = attention_[place_of(layer)];
        for (std::size_t a = 0; a < damage.kv_heads(); ++a)
            all.insert(all.end(), damage.mean_attention(a).begin(), damage.mean_attention(a).end());
    }
    void divide(const ScorerHooks& hooks) override;
    void judge(std::size_t layer, const ScorerHooks& hooks, LayerFigures& figures) const override;

private:
    std::size_t place_of(std::size_t layer) const {
        return static_cast<std::size_t>(std::ranges::lower_bound(layers_, layer) - layers_.begin());
    }
    void divide_attention();

    const Prefill& protocol_;
    const CapturedTrace& trace_;
    std::vector<std::size_t> layers_;
    std::map<std::size_t, ModelSelection> rows_;       ///< by scorer; in the end of those that are judged
    std::vector<std::vector<double>> attention_;       ///< [place][heads * n]: of the bound
    std::vector<std::vector<KeptSets>> kept_by_bound_; ///< [place][retention]
};

std::unique_ptr<WaitingRows> Prefill::waiting_rows(const Trace& trace) const {
    if (!one_set() && !std::ranges::any_of(scorers_.scorers(), &Scorer::needs_model)) return nullptr;
    return std::make_unique<ModelRows>(*this, *trace.captured());
}

std::vector<double> Prefill::removed_fractions(std::size_t n) const {
    std::vector<double> removed;
    for (std::size_t r = 0; r < retentions_.size(); ++r) removed.push_back(removed_fraction(r, n));
    return removed;
}

void Prefill::judge(const KeptSets& kept, std::size_t retention, Judge& judge, RowFigures& row) const {
    const Damage damage = judge.damage.of(kept, judge.scratch);
    note(row, retention, damage, judge, tokens_in(kept), kept.size() * judge.damage.prompt());
}

void Prefill::run_scorer(const ScorerRun& run, Task& task, RowFigures& row) const {
    const LayerInput& input = task.input.of(run.scorer());
    if (waits(run.scorer())) {
        Stopwatch watch;
        static_cast<ModelRows*>(task.waiting)->add(task.row, run, input);
        return note_time(watch.lap() / static_cast<double>(run.scorer().budgeted() ? retentions_.size() : 1), task,
                         row);
    }
    LayerSelection selection(run, input);
    if (finds_thresholds()) return find_thresholds(selection, input, row);
    double longest = 0; // scores that do not depend on the budget are computed for the first alone
    for (std::size_t r = 0; r < retentions_.size(); ++r) {
        Stopwatch watch;
        selection.select(removed_fraction(r, input.tokens));
        const KeptSets kept = cut_by(run.scorer(), [&] { return selection.kept(shape()); });
        longest = std::max(longest, watch.lap());
        judge(kept, r, task, row);
    }
    note_time(longest, task, row);
}

void Prefill::find_thresholds(LayerSelection& selection, const LayerInput& input, RowFigures& row) const {
    for (std::size_t r = 0; r < retentions_.size(); ++r) {
        const double removed = removed_fraction(r, input.tokens);
        selection.select(removed);
        auto& decided = row.decided.emplace_back();
        for (const double score : selection.scores())
            if (score < std::numeric_limits<double>::infinity()) decided.push_back({score, 1});
        row.cached[r] = static_cast<double>(input.heads * input.tokens);
        row.allowed.push_back(static_cast<double>(input.heads * kept_count_for_removed(input.tokens, removed)));
    }
}

void Prefill::run_bound(std::size_t bound, Task& task, RowFigures& row) const {
    if (bound == 2 || one_set())
        return static_cast<ModelRows*>(task.waiting)->add_attention(task.view.layer, task.damage);
    const std::size_t n = task.damage.prompt(), heads = task.damage.kv_heads();
    std::vector<double> all;
    for (std::size_t a = 0; a < heads; ++a)
        all.insert(all.end(), task.damage.mean_attention(a).begin(), task.damage.mean_attention(a).end());
    for (std::size_t r = 0; r < retentions_.size(); ++r) {
        const std::size_t budget = kept_count_for_removed(n, removed_fraction(r, n));
        const std::vector<std::size_t> of_heads(heads, budget);
        judge(bound == 0 ? layer_cut(all, of_heads, bound_shape()) : shaped_cut_together(all, n, budget, bound_shape()),
              r, task, row);
    }
}

void Prefill::ModelRows::divide(const ScorerHooks& hooks) {
    for (auto at = rows_.begin(); at != rows_.end();) {
        heed_stop(hooks);
        auto& [s, selection] = *at;
        bool judged = !hooks.skip(s) && selection.size() == layers_.size();
        try {
            if (judged) cut_by(protocol_.scorers_[s], [&] { selection.divide(*protocol_.scorers_.run(s)); });
        } catch (const PluginError& error) {
            hooks.failed(s, at_place(error, "trace " + trace_.name()));
            judged = false;
        }
        at = judged ? std::next(at) : rows_.erase(at);
    }
    if (protocol_.one_set() || protocol_.divides_model()) divide_attention();
}

void Prefill::ModelRows::divide_attention() {
    const std::size_t n = trace_.prompt_len();
    std::vector<double> all;
    for (const std::vector<double>& of_layer : attention_) all.insert(all.end(), of_layer.begin(), of_layer.end());
    const std::size_t heads = all.size() / n / layers_.size();
    for (std::size_t r = 0; r < protocol_.retentions_.size(); ++r) {
        const std::size_t budget = kept_count_for_removed(n, protocol_.removed_fraction(r, n));
        KeptSets sets;
        if (protocol_.one_set()) {
            const std::vector<std::span<const double>> layers(attention_.begin(), attention_.end());
            sets.assign(heads * layers_.size(), model_cut(layers, n, budget, protocol_.bound_shape()));
        } else {
            sets = shaped_cut_together(all, n, budget, protocol_.bound_shape());
        }
        for (std::size_t row = 0; row < sets.size(); ++row) {
            if (row % heads == 0) kept_by_bound_[row / heads].emplace_back();
            kept_by_bound_[row / heads][r].push_back(std::move(sets[row]));
        }
    }
}

void Prefill::ModelRows::judge(std::size_t layer, const ScorerHooks& hooks, LayerFigures& figures) const {
    heed_stop(hooks);
    const OwnedLayer loaded = trace_.load_layer(layer);
    const LayerView view = loaded.view();
    const AttentionRows rows(view);
    const ContinuationDamage damage = protocol_.damage_of(trace_, view, rows);
    Judge judge{damage};
    const std::size_t place = place_of(layer), count = protocol_.retentions_.size();
    for (const auto& [s, selection] : rows_) {
        heed_stop(hooks);
        try {
            for (std::size_t r = 0; r < count; ++r)
                protocol_.judge(cut_by(protocol_.scorers_[s], [&] { return selection.kept(r, layer); }), r, judge,
                                figures[s]);
        } catch (const PluginError& error) {
            hooks.failed(s, at_place(error, "trace " + trace_.name()));
        }
    }
    const std::vector<KeptSets>& of_bound = kept_by_bound_[place]; // empty where there is none
    for (std::size_t r = 0; r < of_bound.size(); ++r) protocol_.judge(of_bound[r], r, judge, figures.back());
}

} // namespace

ProtocolInfo describe_prefill() {
    ProtocolInfo info;
    info.name = "prefill";
    info.note =
        "Protocol `prefill`: a scorer sees the prompt alone, once, at its end; the queries of the continuation, which "
        "it has not seen, then judge what it kept, and evicted tokens never return.";
    info.usual_retentions = retentions;
    info.needs_capture = info.gives_tensors = info.gives_second_pass = info.measures_time = true;
    info.refuses = [](const Scorer&) -> std::string { return ""; };
    info.make = [](const ProtocolSetup& setup) -> std::unique_ptr<Protocol> {
        return std::make_unique<Prefill>(setup);
    };
    return info;
}

} // namespace evictlab
