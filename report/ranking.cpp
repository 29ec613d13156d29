// SPDX-License-Identifier: MIT
#include "report/ranking.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/statistics/bootstrap.hpp"
#include "report/bench_json.hpp"

namespace evictlab::report {
namespace {

/// A row without figures on the split that judges comes last.
double sort_key(const ScorecardRow& row) {
    const double average = test_average(row);
    return std::isfinite(average) ? average : std::numeric_limits<double>::max();
}

void rank_group(std::span<RankedRow> ranked, std::span<const double> allowed) {
    std::sort(ranked.begin(), ranked.end(),
              [](const RankedRow& a, const RankedRow& b) { return sort_key(*a.row) < sort_key(*b.row); });
    // Groups of one figure are found in the sorted order: "closer than so much" is no order that sort could use.
    std::size_t scorers_before = 0;
    for (std::size_t begin = 0; begin < ranked.size();) {
        std::size_t end = begin + 1;
        while (end < ranked.size() && sort_key(*ranked[end].row) - sort_key(*ranked[begin].row) <= same_figure) ++end;
        const auto group = ranked.subspan(begin, end - begin);
        std::sort(group.begin(), group.end(),
                  [](const RankedRow& a, const RankedRow& b) { return a.row->scorer < b.row->scorer; });
        std::size_t scorers = 0;
        for (auto& entry : group) {
            if (entry.row->kind == RowKind::bound || overshoots(*entry.row, allowed) ||
                !has_figures(judging_errors(*entry.row)))
                continue;
            entry.rank = scorers_before + 1;
            ++scorers;
        }
        scorers_before += scorers;
        begin = end;
    }
}

} // namespace

BudgetKind budget_kind(const ScorecardRow& row) {
    if (row.scorer == layer_oracle_name) return BudgetKind::head;
    if (row.scorer == model_oracle_name) return BudgetKind::model;
    if (!row.uneven_budgets) return BudgetKind::uniform;
    return row.scorer_class ? std::max(row.scorer_class->budget_kind(), BudgetKind::head) : BudgetKind::head;
}

std::string_view to_string(BudgetKind kind) {
    constexpr std::array<std::string_view, 4> names{"uniform", "head", "layer", "model"};
    return names[static_cast<std::size_t>(kind)];
}

TableClass table_class(const ScorecardRow& row) {
    const bool reads_twice = row.kind != RowKind::bound && row.scorer_class && row.scorer_class->passes > 1;
    return {budget_kind(row), reads_twice};
}

std::string to_string(TableClass of) {
    return std::string(to_string(of.budgets)) + (of.two_passes ? ", two passes" : "");
}

std::string in_words(TableClass of) {
    return std::string(to_string(of.budgets)) + " budgets" + (of.two_passes ? " and two passes" : "");
}

bool overshoots(std::span<const double> used, std::span<const double> asked) {
    for (std::size_t r = 0; r < used.size(); ++r)
        if (used[r] > 1.05 * asked[r]) return true;
    return false;
}

std::vector<RankedRow> rank_rows(std::span<const ScorecardRow> rows, std::span<const double> allowed) {
    std::vector<RankedRow> ranked;
    for (const auto& row : rows) ranked.push_back({&row, std::nullopt});
    const auto place_of = [](const RankedRow& entry) { return table_class(*entry.row).index(); };
    std::ranges::stable_sort(ranked, {}, place_of);
    for (auto begin = ranked.begin(); begin != ranked.end();) {
        const auto end = std::find_if(begin, ranked.end(),
                                      [&](const RankedRow& entry) { return place_of(entry) != place_of(*begin); });
        rank_group({begin, end}, allowed);
        begin = end;
    }
    return ranked;
}

bool may_rank(const Bench& bench) {
    const std::vector<TraceLabel>& traces = judging_traces(bench.traces);
    const auto claims = std::ranges::count_if(traces, [](const TraceLabel& label) { return label.left_out.empty(); });
    return !is_captured(bench) || traces.empty() || static_cast<std::size_t>(claims) >= documents_for_a_claim;
}

std::string rank_text(const ScorecardRow& row, const std::optional<std::size_t>& rank) {
    if (rank) return std::to_string(*rank);
    if (row.kind == RowKind::bound) return "bound";
    return has_figures(judging_errors(row)) ? "overshoots" : "n/a";
}

} // namespace evictlab::report
