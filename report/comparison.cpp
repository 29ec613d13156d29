// SPDX-License-Identifier: MIT
#include "report/comparison.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>

#include "report/ranking.hpp"

namespace evictlab::report {
namespace {

/// The row with the lowest figure of those that `chosen` picks; of equal ones the first.
const ScorecardRow* best_row(const RowGroup& group, const std::function<bool(const LeaderboardRow&)>& chosen,
                             const std::function<double(const ScorecardRow&)>& figure_of) {
    const ScorecardRow* best = nullptr;
    for (const auto& row : group.rows)
        if (chosen(row) && std::isfinite(figure_of(row.scorecard)) &&
            (!best || figure_of(row.scorecard) < figure_of(*best)))
            best = &row.scorecard;
    return best;
}

void put_in_order(LeaderboardTable& table) {
    const std::vector<LeaderboardRow> merged = std::exchange(table.groups[0].rows, {});
    std::vector<ScorecardRow> scorecards;
    scorecards.reserve(merged.size());
    for (const auto& row : merged) scorecards.push_back(row.scorecard);
    for (const auto& [scorecard, rank] : rank_rows(scorecards, allowed_of(table))) {
        auto& group = table.of(table_class(*scorecard));
        group.rows.push_back(merged[static_cast<std::size_t>(scorecard - scorecards.data())]);
        group.rows.back().rank = rank;
    }
}

void compare_with_hybrid(RowGroup& group) {
    const auto* hybrid = best_row(
        group,
        [](const auto& row) { return row.scorecard.scorer == "hybrid" || row.scorecard.scorer == "hybrid@seed"; },
        test_average);
    if (!hybrid || !(test_average(*hybrid) > 0)) return;
    for (auto& row : group.rows)
        if (has_figures(judging_errors(row.scorecard)))
            row.improvement_over_hybrid = (test_average(*hybrid) - test_average(row.scorecard)) / test_average(*hybrid);
}

/// What others are measured by.
bool is_yardstick(const LeaderboardTable& table, const LeaderboardRow& row) {
    return row.published && !overshoots(row.scorecard, allowed_of(table));
}

/// Of each row, by one figure. `bounded`: the rows with the bound.
std::vector<std::optional<double>> gaps(const LeaderboardTable& table, const RowGroup& group, const RowGroup& bounded,
                                        std::string_view bound,
                                        const std::function<double(const ScorecardRow&)>& figure_of) {
    const auto* oracle = best_row(
        bounded, [&](const auto& row) { return row.scorecard.scorer == bound; }, figure_of);
    const auto* best = best_row(
        group, [&](const auto& row) { return is_yardstick(table, row); }, figure_of);
    std::vector<std::optional<double>> shares(group.rows.size());
    if (!oracle || !best || !(figure_of(*best) > figure_of(*oracle))) return shares;
    for (std::size_t i = 0; i < shares.size(); ++i)
        if (const double figure = figure_of(group.rows[i].scorecard); std::isfinite(figure))
            shares[i] = (figure_of(*best) - figure) / (figure_of(*best) - figure_of(*oracle));
    return shares;
}

/// Two passes have the bound of one.
void measure_gaps(const LeaderboardTable& table, TableClass of, RowGroup& group) {
    // Layers that decide alone how much they keep have no bound of their own.
    constexpr std::array<std::string_view, 4> bounds{oracle_name, layer_oracle_name, "", model_oracle_name};
    const std::string_view bound = bounds[static_cast<std::size_t>(of.budgets)];
    const RowGroup& bounded = table.of({of.budgets, false});
    for (auto& row : group.rows) row.gap_closed.assign(1 + table.more_measures.size(), {});
    for (std::size_t m = 0; m <= table.more_measures.size(); ++m) {
        const auto averages =
            gaps(table, group, bounded, bound, [m](const auto& row) { return judging_errors(row, m).average; });
        for (std::size_t i = 0; i < averages.size(); ++i) group.rows[i].gap_closed[m].average = averages[i];
        for (std::size_t r = 0; r < table.retentions.size(); ++r) {
            const auto at_retention = gaps(table, group, bounded, bound,
                                           [m, r](const auto& row) { return judging_errors(row, m).by_retention[r]; });
            for (std::size_t i = 0; i < at_retention.size(); ++i)
                group.rows[i].gap_closed[m].by_retention.push_back(at_retention[i]);
        }
    }
}

const ScorecardRow* best_published(const LeaderboardTable& table, const RowGroup& group) {
    return best_row(
        group, [&](const auto& row) { return is_yardstick(table, row); }, test_average);
}

/// What rows are compared with, on the documents that judge where these are known.
class Yardstick {
public:
    Yardstick(const ScorecardRow* best, bool documents, const Bootstrap& bootstrap)
        : best_(best), documents_(best && documents), bootstrap_(bootstrap) {
        if (documents_) by_document_ = document_averages(judging_errors(*best));
    }
    /// Row minus it; nothing where there is none.
    std::optional<Estimate> difference(const ScorecardRow& row) const {
        if (!best_) return std::nullopt;
        Estimate found{test_average(row) - test_average(*best_), std::nullopt};
        if (!documents_) return found;
        std::vector<double> values = document_averages(judging_errors(row));
        std::ranges::transform(values, by_document_, values.begin(), std::minus<>());
        found.interval = bootstrap_.mean(values).interval;
        return found;
    }

private:
    const ScorecardRow* best_;
    bool documents_;
    const Bootstrap& bootstrap_;
    std::vector<double> by_document_;
};

void compare_with_best(const LeaderboardTable& table, TableClass of, RowGroup& group, const Bootstrap& bootstrap) {
    const auto* best = best_published(table, group);
    if (best) group.best_published = best->scorer;
    const bool documents = table.captured && has_documents(table);
    const Yardstick own(best, documents, bootstrap);
    const Yardstick one_pass(best_published(table, table.uniform()), documents, bootstrap);
    for (auto& row : group.rows) {
        row.test = {test_average(row.scorecard), std::nullopt};
        if (!has_figures(judging_errors(row.scorecard))) continue;
        if (documents) row.test.interval = bootstrap.mean(document_averages(judging_errors(row.scorecard))).interval;
        if (of.two_passes) row.from_one_pass = one_pass.difference(row.scorecard);
        row.difference = own.difference(row.scorecard);
        row.win = row.rank && row.difference && row.difference->interval && !table.no_claims &&
                  bootstrap.documents() >= documents_for_a_claim && row.difference->interval->below(0);
    }
}

} // namespace

std::vector<double> document_averages(const SplitErrors& errors) {
    std::vector<double> averages;
    for (const auto& trace : errors.by_trace)
        averages.push_back(std::accumulate(trace.begin(), trace.end(), 0.0) / static_cast<double>(trace.size()));
    return averages;
}

bool has_documents(const LeaderboardTable& table) {
    const std::size_t documents = judging_traces(table.traces).size();
    const auto all = [&](const RowGroup& group) {
        return std::ranges::all_of(group.rows, [&](const auto& row) {
            const SplitErrors& errors = judging_errors(row.scorecard);
            return !has_figures(errors) || errors.by_trace.size() == documents;
        });
    };
    return documents > 0 && std::ranges::all_of(table.groups, all);
}

void compare_rows(LeaderboardTable& table) {
    put_in_order(table);
    const Bootstrap bootstrap(table.captured && has_documents(table) ? judging_traces(table.traces).size() : 0);
    if (!table.captured) compare_with_hybrid(table.groups[0]);
    for (const TableClass each : table_classes) {
        measure_gaps(table, each, table.of(each));
        compare_with_best(table, each, table.of(each), bootstrap);
    }
}

} // namespace evictlab::report
