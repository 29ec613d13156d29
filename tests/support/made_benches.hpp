// Results of a captured suite that nobody measured: six documents, so that claims can be made, and figures that are
// easy to reckon with.
// SPDX-License-Identifier: MIT
#pragma once
#include <string>
#include <vector>

#include "framework/bench/scorecard.hpp"

namespace evictlab::report {

inline constexpr double made_difficulty[] = {1, 2, 1,
                                             4, 2, 2}; ///< a document's errors are a row's times this, over two
inline const std::vector<TraceLabel> made_documents{{"novel", "prose"}, {"letters", "prose"}, {"parser", "code"},
                                                    {"stock", "list"},  {"essay", "prose"},   {"shell", "code"}};

/// The errors of a row: `at_ten` at retention 0.1 and half of it at 0.5, as the mean over the documents.
inline SplitErrors made_errors(double at_ten) {
    SplitErrors errors{{0, 0}, 0, {}};
    for (const double difficulty : made_difficulty) {
        errors.by_trace.push_back({at_ten * difficulty / 2, at_ten * difficulty / 4});
        for (std::size_t r = 0; r < 2; ++r) errors.by_retention[r] += errors.by_trace.back()[r] / 6;
    }
    errors.average = (errors.by_retention[0] + errors.by_retention[1]) / 2;
    return errors;
}

inline ScorecardRow made_row(const std::string& scorer, double output_error, double attention_loss,
                             RowKind kind = RowKind::plugin) {
    const std::vector<double> used{0.0996, 0.5};
    ScorecardRow row;
    row.scorer = scorer;
    row.kind = kind;
    row.splits = {made_errors(output_error), made_errors(output_error), made_errors(output_error)};
    row.more_splits = {{made_errors(attention_loss), made_errors(attention_loss), made_errors(attention_loss)}};
    row.retention_used = {used, used, used};
    return row;
}

inline Bench made_bench(std::vector<ScorecardRow> rows) {
    Bench bench;
    bench.suite = "smollm2";
    bench.suite_hash = "sha256:cc";
    bench.suite_parameters_json = R"({"name":"smollm2","captured":1})";
    bench.protocol = "prefill";
    bench.measure = "output_error";
    bench.more_measures = {"attention_loss"};
    bench.retentions = {0.1, 0.5};
    bench.traces = {made_documents, made_documents, made_documents};
    bench.rows = std::move(rows);
    bench.rows.push_back(made_row("random", 0.4, 0.4));
    bench.rows.push_back(made_row("oracle", 0.1, 0.1, RowKind::bound));
    return bench;
}

/// With the bound of its kind of budget.
inline Bench made_bench_with_budgets() {
    std::vector<ScorecardRow> rows{made_row("snapkv@kvpress", 0.2, 0.2), made_row("tova@kvpress", 0.3, 0.15),
                                   made_row("=mine", 0.16, 0.18, RowKind::formula),
                                   made_row("adakv(snapkv@kvpress)", 0.12, 0.14), made_row("my_budgets", 0.14, 0.12)};
    rows[3].uneven_budgets = rows[4].uneven_budgets = true;
    rows[4].retention_used[2] = {0.0875, 0.51};
    Bench bench = made_bench(std::move(rows));
    bench.rows.push_back(made_row("oracle (layer budget)", 0.08, 0.08, RowKind::bound));
    bench.rows.back().uneven_budgets = true;
    return bench;
}

} // namespace evictlab::report
