// SPDX-License-Identifier: MIT
#include "report/row_class.hpp"

#include <fmt/format.h>

#include <array>

#include "base/json/one_of.hpp"
#include "framework/formula/formula.hpp"
#include "framework/scorers/class_json.hpp"
#include "framework/scorers/known_scorer.hpp"

namespace evictlab::report {
namespace {

constexpr std::array<std::string_view, 5> budget_names{"uniform", "layer", "head", "head and layer", "model"};

void check_derived(const JsonField& field, const std::string& key, const Json& expected) {
    if (const auto found = field.optional_member(key); found && field.object().at(key) != expected.at(key))
        found->fail(
            fmt::format("expected {}, as \"reads\" is {}", expected.at(key).dump(), field.member("reads").shown()));
}

} // namespace

std::optional<ScorerClass> class_of_row(const ScorecardRow& row, const PluginHost& plugins) {
    if (row.kind == RowKind::bound) return std::nullopt;
    const auto scorer = known_scorer(row.formula.empty() ? row.scorer : '=' + row.formula, plugins);
    return scorer ? std::optional(class_of(*scorer)) : std::nullopt;
}

ScorerClass read_class(const JsonField& field) {
    const JsonField reads = field.member("reads");
    auto read = class_that_reads(reads.text());
    if (!read)
        reads.fail(fmt::format("expected what a scorer reads, as \"kv\", \"q64\", \"all q\" or \"all attn\", found {}",
                               reads.shown()));
    const JsonField passes = field.member("passes");
    read->passes = static_cast<unsigned>(passes.whole_up_to(2));
    if (read->passes == 0) passes.fail("expected 1 or 2, found 0");
    read->calibrated = field.member("calibrated").truth();
    const std::string& budgets = one_of(field.member("budgets"), budget_names);
    read->layer_budgets = budgets.ends_with("layer");
    read->head_budgets = budgets.starts_with("head");
    read->model_budgets = budgets == "model";
    const Json written = to_json(*read);
    check_derived(field, "query_aware", written);
    check_derived(field, "fused_attention", written);
    return *read;
}

} // namespace evictlab::report
