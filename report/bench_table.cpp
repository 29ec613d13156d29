// SPDX-License-Identifier: MIT
#include "report/bench_table.hpp"

#include <fmt/format.h>

#include "report/ranking.hpp"
#include "report/table.hpp"

namespace evictlab::report {
namespace {

constexpr std::array splits_best_first{Split::test, Split::valid, Split::train};

std::string exact(double value) { return fmt::format("{}", value); }

Table terminal_table(const Bench& bench) {
    std::vector<TableColumn> columns{
        {"rank", CellKind::number}, {"scorer", CellKind::code}, {"kind", CellKind::text}, {"test", CellKind::number}};
    for (const double retention : bench.retentions)
        columns.push_back({fmt::format("@{}", retention_key(retention)), CellKind::number});
    columns.push_back({"valid", CellKind::number});
    columns.push_back({"train", CellKind::number});
    Table table(std::move(columns));
    for (const auto& [row, rank] : rank_rows(bench.rows)) {
        std::vector<std::string> cells{rank_text(rank), row->scorer, std::string(to_string(row->kind)),
                                       figure(test_average(*row))};
        for (const double error : of_split(*row, Split::test).by_retention) cells.push_back(figure(error));
        cells.push_back(figure(of_split(*row, Split::valid).average));
        cells.push_back(figure(of_split(*row, Split::train).average));
        table.add(std::move(cells));
    }
    return table;
}

/// Every figure, titled by `title(split, retention or "avg")` and written by `number`.
template <typename Title, typename Number>
Table whole_table(const Bench& bench, Title title, Number number) {
    std::vector<TableColumn> columns{{"rank", CellKind::number}, {"scorer", CellKind::code}, {"kind", CellKind::text}};
    for (const Split split : splits_best_first) {
        columns.push_back({title(split, "avg"), CellKind::number});
        for (const double retention : bench.retentions)
            columns.push_back({title(split, retention_key(retention)), CellKind::number});
    }
    columns.push_back({"formula", CellKind::code});
    Table table(std::move(columns));
    for (const auto& [row, rank] : rank_rows(bench.rows)) {
        std::vector<std::string> cells{rank_text(rank), row->scorer, std::string(to_string(row->kind))};
        for (const Split split : splits_best_first) {
            cells.push_back(number(of_split(*row, split).average));
            for (const double error : of_split(*row, split).by_retention) cells.push_back(number(error));
        }
        cells.push_back(row->formula);
        table.add(std::move(cells));
    }
    return table;
}

std::string people_title(Split split, const std::string& figure_name) {
    return figure_name == "avg" ? std::string(to_string(split)) : fmt::format("{} {}", to_string(split), figure_name);
}

std::string program_title(Split split, const std::string& figure_name) {
    return fmt::format("{}_{}", to_string(split), figure_name);
}

} // namespace

std::string figure(double value) { return fmt::format("{:.4f}", value); }

Format parse_format(std::string_view name) {
    if (name == "table") return Format::table;
    if (name == "json") return Format::json;
    if (name == "markdown") return Format::markdown;
    if (name == "csv") return Format::csv;
    throw UsageError(fmt::format("unknown format \"{}\"; there are table, json, markdown and csv", name));
}

std::string render(const Bench& bench, Format format, const BenchJsonOptions& json_options) {
    switch (format) {
    case Format::json:
        return dump(to_json(bench, json_options));
    case Format::csv:
        return whole_table(bench, program_title, exact).csv();
    case Format::markdown:
        return whole_table(bench, people_title, figure).markdown();
    case Format::table:
        break;
    }
    return terminal_table(bench).text();
}

} // namespace evictlab::report
