// SPDX-License-Identifier: MIT
#include "report/bench_table.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/text/quoting.hpp"
#include "base/text/shown.hpp"
#include "report/cells.hpp"
#include "report/footnotes.hpp"
#include "report/ranking.hpp"
#include "report/row_class.hpp"
#include "report/row_cost.hpp"
#include "report/shape.hpp"
#include "report/table.hpp"

namespace evictlab::report {
namespace {

/// A second model's documents only where there are any.
std::vector<Split> splits_best_first(const Bench& bench) {
    std::vector<Split> splits{Split::test, Split::valid, Split::train};
    if (!bench.traces[static_cast<std::size_t>(Split::test_other_model)].empty())
        splits.insert(splits.begin() + 1, Split::test_other_model);
    return splits;
}

/// Rows of each class are ranked among themselves, one class after the other; columns say which are which.
class ClassCells {
public:
    explicit ClassCells(const Bench& bench)
        : uneven_(any_uneven(bench.rows)), twice_(any_two_passes(bench.rows)), classes_(any_class(bench.rows)) {}
    void add_titles(std::vector<TableColumn>& columns) const {
        if (uneven_) columns.push_back({"budgets", CellKind::text});
        if (twice_) columns.push_back({"passes", CellKind::number});
        if (classes_) columns.push_back({"reads", CellKind::text});
    }
    void add(const ScorecardRow& row, std::vector<std::string>& cells) const {
        if (uneven_) cells.emplace_back(to_string(budget_kind(row)));
        if (twice_) cells.push_back(row.scorer_class ? fmt::format("{}", row.scorer_class->passes) : "");
        if (classes_) cells.push_back(reads_text(row));
    }

private:
    bool uneven_, twice_, classes_;
};

Table terminal_table(const Bench& bench) {
    const ClassCells classes(bench);
    std::vector<TableColumn> columns{{"rank", CellKind::number}, {"scorer", CellKind::code}, {"kind", CellKind::text}};
    classes.add_titles(columns);
    const Split judging = judging_split(bench.traces);
    std::vector<Split> others = splits_best_first(bench);
    std::erase_if(others, [&](Split split) {
        const bool figures = std::ranges::any_of(
            bench.rows, [split](const auto& row) { return !std::isnan(of_split(row, split).average); });
        const bool documents = !bench.traces[static_cast<std::size_t>(split)].empty();
        return split == Split::test || split == judging || !(figures || documents);
    });
    columns.push_back({is_captured(bench) ? bench.measure : "test", CellKind::number});
    for (const double retention : bench.retentions)
        columns.push_back({fmt::format("@{}", retention_key(retention)), CellKind::number});
    for (const Split split : others) columns.push_back({std::string(to_string(split)), CellKind::number});
    for (const std::string& measure : bench.more_measures) columns.push_back({measure, CellKind::number});
    if (any_cost(bench.rows)) columns.push_back({"us", CellKind::number});
    Table table(std::move(columns));
    for (const auto& [row, rank] : rank_rows(bench.rows, bench.retentions)) {
        std::vector<std::string> cells{rank_text(*row, rank), row->scorer, std::string(to_string(row->kind))};
        classes.add(*row, cells);
        cells.push_back(figure(test_average(*row)));
        for (const double error : judging_errors(*row).by_retention) cells.push_back(figure(error));
        for (const Split split : others) cells.push_back(figure(of_split(*row, split).average));
        for (std::size_t m = 0; m < bench.more_measures.size(); ++m)
            cells.push_back(figure(judging_errors(*row, m + 1).average));
        if (any_cost(bench.rows)) cells.push_back(cost_text(*row));
        table.add(std::move(cells));
    }
    return table;
}

/// How a format names and writes its figures.
struct Wording {
    std::string (*title)(std::string_view measure, std::string_view split, std::string_view figure_name);
    std::string (*number)(double value);
};

/// Every figure: the primary measure's, the others', the retentions really used.
Table whole_table(const Bench& bench, const Wording& words) {
    std::vector<TableColumn> columns{{"rank", CellKind::number}, {"scorer", CellKind::code}, {"kind", CellKind::text}};
    const ClassCells classes(bench);
    const bool used = std::ranges::any_of(bench.rows, [](const auto& row) { return !retention_used(row).empty(); });
    const std::vector<Split> splits = splits_best_first(bench);
    classes.add_titles(columns);
    for (std::size_t m = 0; m <= bench.more_measures.size(); ++m)
        for (const Split split : splits) {
            const std::string measure = m == 0 ? "" : bench.more_measures[m - 1];
            columns.push_back({words.title(measure, to_string(split), "avg"), CellKind::number});
            for (const double retention : bench.retentions)
                columns.push_back({words.title(measure, to_string(split), retention_key(retention)), CellKind::number});
        }
    for (const double retention : bench.retentions)
        if (used)
            columns.push_back(
                {words.title("retention_used", to_string(judging_split(bench.traces)), retention_key(retention)),
                 CellKind::number});
    const bool costs = any_cost(bench.rows);
    if (costs) columns.push_back({"us", CellKind::number});
    for (const double retention : bench.retentions)
        if (bench.kv_bytes > 0)
            columns.push_back({words.title("", "kv_bytes", retention_key(retention)), CellKind::number});
    columns.push_back({"formula", CellKind::code});
    Table table(std::move(columns));
    for (const auto& [row, rank] : rank_rows(bench.rows, bench.retentions)) {
        std::vector<std::string> cells{rank_text(*row, rank), row->scorer, std::string(to_string(row->kind))};
        classes.add(*row, cells);
        for (std::size_t m = 0; m <= bench.more_measures.size(); ++m)
            for (const Split split : splits) {
                cells.push_back(words.number(of_measure(*row, m, split).average));
                for (const double error : of_measure(*row, m, split).by_retention) cells.push_back(words.number(error));
            }
        for (std::size_t r = 0; used && r < bench.retentions.size(); ++r)
            cells.push_back(retention_used(*row).empty() ? "" : words.number(retention_used(*row)[r]));
        if (costs) cells.push_back(cost_text(*row));
        for (std::size_t r = 0; bench.kv_bytes > 0 && r < bench.retentions.size(); ++r) {
            const auto& kept = retention_used(*row);
            cells.push_back(fmt::format("{:.6g}", bench.kv_bytes * (kept.empty() ? bench.retentions[r] : kept[r])));
        }
        cells.push_back(row->formula);
        table.add(std::move(cells));
    }
    return table;
}

constexpr Wording for_people{[](std::string_view measure, std::string_view split, std::string_view figure_name) {
                                 std::string title = measure.empty()
                                                         ? std::string(split)
                                                         : fmt::format("{} {}", measure_title(measure), split);
                                 if (figure_name != "avg") title.append(" ").append(figure_name);
                                 return title;
                             },
                             figure};

constexpr Wording for_programs{
    [](std::string_view measure, std::string_view split, std::string_view figure_name) {
        return fmt::format("{}{}{}_{}", measure, measure.empty() ? "" : "_", split, figure_name);
    },
    [](double value) { return std::isfinite(value) ? fmt::format("{}", value) : std::string(); }};

} // namespace

std::string figure(double value) { return std::isfinite(value) ? fmt::format("{:.4f}", value) : "n/a"; }

Format parse_format(std::string_view name) {
    if (name == "table") return Format::table;
    if (name == "json") return Format::json;
    if (name == "markdown") return Format::markdown;
    if (name == "csv") return Format::csv;
    throw UsageError(fmt::format("unknown format \"{}\"; there are table, json, markdown and csv", name));
}

namespace {

std::string line(const std::string& text) { return text.empty() ? text : text + "\n"; }
std::string below(const std::string& notes) { return notes.empty() ? notes : "\n" + notes; }

} // namespace

std::string render(const Bench& bench, Format format, const BenchJsonOptions& json_options) {
    switch (format) {
    case Format::json:
        return dump(to_json(bench, json_options));
    case Format::csv:
        return whole_table(bench, for_programs).csv();
    case Format::markdown:
        return whole_table(bench, for_people).markdown() + below(line(cut_text(bench.cut, bench.retentions))) +
               below(footnotes(bench, text::markdown_code));
    case Format::table:
        break;
    }
    return terminal_table(bench).text() +
           below(footnotes(bench, [](std::string_view name) { return text::line(name); }));
}

} // namespace evictlab::report
