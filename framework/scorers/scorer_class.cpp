// SPDX-License-Identifier: MIT
#include "framework/scorers/scorer_class.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "framework/columns/query_reader.hpp"
#include "framework/scorers/scorer.hpp"

namespace evictlab {
namespace {

constexpr std::string_view nothing_of_queries = "kv", all_queries_text = "all q", all_attention_text = "all attn",
                           tensors_text = "qkv", second_pass_text = "2nd pass", joint = " + ";

void add_column(ScorerClass& made, ColumnId id) {
    if (id == base_score_id) return; // its base's columns are there
    while (const auto derived_from = columns::base(id)) id = *derived_from;
    if (columns::needs(id) == ColumnNeeds::reconstruction) made.passes = 2;
    const bool by_tensors = columns::info(id).queries == ColumnQueries::all;
    const std::size_t latest = columns::latest_queries(id);
    if (by_tensors && latest == all_history)
        made.all_queries = true;
    else
        made.attention = std::max(made.attention, latest);
}

void add_part(ScorerClass& made, std::string_view part) {
    std::size_t window = 0;
    if (part == all_queries_text) made.all_queries = true;
    if (part == all_attention_text) made.attention = all_history;
    if (part == tensors_text) made.tensors = true;
    if (part == second_pass_text) made.passes = 2;
    if (part.starts_with('q') && part != tensors_text) {
        std::from_chars(part.data() + 1, part.data() + part.size(), window);
        made.attention = window;
    }
}

} // namespace

std::optional<bool> ScorerClass::query_aware() const {
    if (attention > 0) return true;
    if (tensors) return std::nullopt;
    return false;
}

std::string ScorerClass::reads() const {
    std::string text;
    const auto add = [&text](std::string_view part) { text += fmt::format("{}{}", text.empty() ? "" : joint, part); };
    if (attention == all_history)
        add(all_attention_text);
    else if (attention > 0)
        add(fmt::format("q{}", attention));
    if (all_queries) add(all_queries_text);
    if (text.empty() && tensors) add(tensors_text);
    if (passes > 1) add(second_pass_text);
    return text.empty() ? std::string(nothing_of_queries) : text;
}

BudgetKind ScorerClass::budget_kind() const {
    if (model_budgets) return BudgetKind::model;
    if (layer_budgets) return BudgetKind::layer;
    return head_budgets ? BudgetKind::head : BudgetKind::uniform;
}

std::string ScorerClass::budgets() const {
    if (model_budgets) return "model";
    if (layer_budgets && head_budgets) return "head and layer";
    return head_budgets ? "head" : layer_budgets ? "layer" : "uniform";
}

ScorerClass class_of(const Scorer& scorer) {
    ScorerClass made;
    for (const ColumnId id : scorer.columns()) add_column(made, id);
    made.attention = std::max<std::size_t>(made.attention, scorer.tensor_window());
    if (made.attention == all_history) made.all_queries = false;
    made.tensors = scorer.wants_tensors() && made.attention == 0 && !made.all_queries;
    made.calibrated = scorer.reads_calibration();
    // A threshold is the same for all layers, and none of them has a budget.
    made.head_budgets = scorer.plugin() && (scorer.plugin()->budgets_heads() || scorer.has_threshold());
    made.layer_budgets = scorer.has_threshold();
    made.model_budgets = scorer.plugin() && scorer.plugin()->budgets_model();
    for (const Scorer* each = &scorer; each;) {
        const Plugin* const plugin = each->plugin().get();
        made.layer_budgets = made.layer_budgets || (plugin && plugin->budgets_layers() && !plugin->equal_layers());
        each = each->base() && !each->plugin()->equal_layers() ? each->base() : nullptr;
    }
    return made;
}

std::optional<ScorerClass> class_that_reads(std::string_view reads) {
    ScorerClass made;
    for (std::string_view rest = reads; !rest.empty();) {
        const std::size_t end = rest.find(joint);
        add_part(made, rest.substr(0, end));
        rest = end == std::string_view::npos ? std::string_view{} : rest.substr(end + joint.size());
    }
    if (made.reads() != reads) return std::nullopt;
    return made;
}

std::string in_words(const ScorerClass& scorer) {
    std::string reads = scorer.attention == all_history ? "the attention of all queries"
                        : scorer.attention == 1         ? "the attention of the last query"
                        : scorer.attention > 0 ? fmt::format("the attention of the last {} queries", scorer.attention)
                                               : "";
    if (scorer.all_queries && scorer.attention != all_history)
        reads += fmt::format("{}all queries by themselves", reads.empty() ? "" : ", and ");
    if (scorer.passes > 1) reads += fmt::format("{}a second pass over the prompt", reads.empty() ? "" : ", and ");
    if (reads.empty()) reads = scorer.tensors ? "queries, keys and values itself" : "nothing of queries";
    const auto aware = scorer.query_aware();
    return fmt::format("{}, {}, {}, {} budgets, {}; reads {}",
                       !aware   ? "query-aware or not as its code has it"
                       : *aware ? "query-aware"
                                : "query-agnostic",
                       scorer.passes == 1 ? "one pass" : fmt::format("{} passes", scorer.passes),
                       scorer.calibrated ? "calibrated" : "not calibrated", scorer.budgets(),
                       scorer.fused_attention() ? "with fused attention" : "not with fused attention", reads);
}

} // namespace evictlab
