// SPDX-License-Identifier: MIT
#include "framework/scoring/scorer_run.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace evictlab {

ScorerRun::ScorerRun(const Scorer& scorer) : scorer_(&scorer) {
    if (scorer.unmatched())
        throw UsageError(
            fmt::format("scorer '{}' finds its threshold on the train split of a suite, so that it runs in "
                        "`evictlab bench` alone, whose JSON tells what was found: give that to the "
                        "preset that takes a threshold",
                        scorer.label()));
    if (!scorer.is_formula()) instance_ = scorer.plugin()->create(scorer.values());
    if (scorer.base()) base_ = std::make_unique<ScorerRun>(*scorer.base());
}
ScorerRun::~ScorerRun() = default;
ScorerRun::ScorerRun(ScorerRun&&) noexcept = default;

bool ScorerRun::concurrent() const {
    return (!instance_ || instance_->plugin().concurrent()) && (!base_ || base_->concurrent());
}

void ScorerRun::end() {
    if (instance_) instance_->end();
    if (base_) base_->end();
}

void ScorerRun::select(const LayerInput& layer, double removed_fraction, std::vector<double>& scores,
                       std::vector<std::size_t>& kept_per_head) const {
    LayerSelection selection(*this, layer);
    selection.select(removed_fraction);
    scores.assign(selection.scores().begin(), selection.scores().end());
    kept_per_head.assign(selection.kept_per_head().begin(), selection.kept_per_head().end());
}

void score_head(const formula::Program& program, std::span<const double> constants, const LayerColumns& columns,
                std::size_t kv_head, std::size_t tokens, double* scores) {
    static thread_local formula::Workspace workspace;
    static thread_local std::vector<formula::ColumnView> views;
    views.clear();
    for (const ColumnId id : program.columns()) views.push_back(columns.view(id, kv_head));
    program.evaluate(views, constants, tokens, scores, workspace);
}

void ScorerCall::score(const ScorerRun& run, const LayerInput& layer, ScoreBudget budget, const double* base_scores,
                       double* scores) {
    if (run.instance()) return run.instance()->score(batch(run, layer, budget, base_scores), scores);
    const formula::Program& program = run.scorer().program();
    for (std::size_t head = 0; head < layer.heads; ++head)
        score_head(program, program.constants(), *layer.columns, head, layer.tokens, scores + head * layer.tokens);
}

evl_batch ScorerCall::batch(const ScorerRun& run, const LayerInput& layer, ScoreBudget budget,
                            const double* base_scores) {
    pointers_.clear();
    strides_.clear();
    for (const ColumnId id : run.scorer().own_columns()) {
        const ColumnValues values = id == base_score_id
                                        ? ColumnValues{base_scores, static_cast<std::ptrdiff_t>(layer.tokens)}
                                        : layer.columns->filled(id);
        pointers_.push_back(values.data);
        strides_.push_back(values.head_stride);
    }
    evl_batch batch{};
    batch.struct_size = sizeof(evl_batch);
    batch.layer = static_cast<std::uint32_t>(layer.layer);
    batch.num_layers = static_cast<std::uint32_t>(layer.num_layers);
    batch.heads = static_cast<std::uint32_t>(layer.heads);
    batch.tokens = static_cast<std::uint32_t>(layer.tokens);
    batch.sequence_len = layer.sequence_len;
    batch.columns = pointers_.data();
    batch.head_stride = strides_.data();
    batch.removed_fraction = budget.removed_fraction;
    batch.kept = budget.kept;
    batch.tensors = run.instance()->plugin().wants_tensors() ? layer.tensors : nullptr;
    add_tables(run, layer, batch);
    return batch;
}

void ScorerCall::add_tables(const ScorerRun& run, const LayerInput& layer, evl_batch& batch) {
    const std::span<const std::string> names = run.instance()->plugin().tables();
    if (names.empty()) return;
    tables_.clear();
    table_pointers_.clear();
    for (const std::string& name : names) {
        const CalibrationTable* const table = layer.calibration ? layer.calibration->table(name) : nullptr;
        if (!table)
            throw Error(fmt::format("scorer '{}' asks for the table '{}' of a calibration, and there is none",
                                    run.scorer().label(), name));
        tables_.push_back({sizeof(evl_table), table->rows, layer.calibration->layers.size(),
                           layer.calibration->kv_heads, layer.calibration->layers.data(), table->values.data()});
    }
    for (const evl_table& table : tables_) table_pointers_.push_back(&table);
    batch.table_count = names.size();
    batch.tables = table_pointers_.data();
}

PluginError nan_score(const Scorer& scorer, std::size_t layer, std::size_t head, std::size_t position) {
    return {scorer.label(), "score",
            fmt::format("the score is NaN at layer {}, head {}, position {}", layer, head, position)};
}

LayerSelection::LayerSelection(const ScorerRun& run, const LayerInput& layer) : run_(run), layer_(layer) {
    if (run.base()) base_ = std::make_unique<LayerSelection>(*run.base(), layer);
    scores_.resize(layer.heads * layer.tokens + row_padding);
}
LayerSelection::~LayerSelection() = default;

void LayerSelection::select(double removed_fraction) {
    if (removed_fraction <= 0) {
        std::ranges::fill(scores_, 0.0);
        kept_.assign(layer_.heads, layer_.tokens);
        scored_ = false;
        return;
    }
    budget_ = {removed_fraction, layer_budget(removed_fraction)};
    score(budget_);
    allocate(budget_);
}

std::vector<double> LayerSelection::facts() {
    std::vector<double> told(run_.instance()->plugin().model_facts());
    if (told.empty()) return told;
    const evl_batch batch = call_.batch(run_, layer_, budget_, base_ ? base_->scores_.data() : nullptr);
    run_.instance()->layer_facts(batch, scores_.data(), told);
    return told;
}

std::size_t LayerSelection::layer_budget(double removed_fraction) const {
    const ScorerInstance* const instance = run_.instance();
    const bool as_base = base_ && !instance->plugin().equal_layers();
    const std::size_t usual =
        as_base ? base_->layer_budget(removed_fraction) : kept_count_for_removed(layer_.tokens, removed_fraction);
    if (!instance || !instance->plugin().budgets_layers()) return usual;
    return instance->layer_budget({sizeof(evl_budget_query), static_cast<std::uint32_t>(layer_.layer),
                                   static_cast<std::uint32_t>(layer_.num_layers),
                                   static_cast<std::uint32_t>(layer_.heads), static_cast<std::uint32_t>(layer_.tokens),
                                   removed_fraction, usual});
}

void LayerSelection::score(ScoreBudget budget) {
    if (scored_ && !run_.scorer().budgeted()) return;
    if (base_) base_->score({budget.removed_fraction, base_->layer_budget(budget.removed_fraction)});
    const bool budgeted = run_.instance() && run_.instance()->plugin().budgeted();
    call_.score(run_, layer_, budgeted ? budget : ScoreBudget{}, base_ ? base_->scores_.data() : nullptr,
                scores_.data());
    refuse_nan();
    scored_ = true;
}

void LayerSelection::allocate(ScoreBudget budget) {
    kept_.assign(layer_.heads, budget.kept);
    if (run_.scorer().has_threshold()) return count_above(run_.scorer().threshold(budget.removed_fraction));
    if (!run_.instance() || !run_.instance()->plugin().budgets_heads()) return;
    std::vector<std::uint64_t> kept(layer_.heads, budget.kept);
    run_.instance()->head_budgets(call_.batch(run_, layer_, budget, base_ ? base_->scores_.data() : nullptr),
                                  scores_.data(), kept);
    kept_.assign(kept.begin(), kept.end());
}

void LayerSelection::count_above(double threshold) {
    for (std::size_t head = 0; head < layer_.heads; ++head)
        kept_[head] = static_cast<std::size_t>(std::ranges::count_if(
            scores().subspan(head * layer_.tokens, layer_.tokens), [=](double score) { return score >= threshold; }));
}

void LayerSelection::refuse_nan() const {
    const auto all = scores();
    const auto at = std::ranges::find_if(all, [](double score) { return std::isnan(score); });
    if (at == all.end()) return;
    const auto index = static_cast<std::size_t>(at - all.begin());
    throw nan_score(run_.scorer(), layer_.layer, index / layer_.tokens, index % layer_.tokens);
}

} // namespace evictlab
