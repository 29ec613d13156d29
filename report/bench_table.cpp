// SPDX-License-Identifier: MIT
#include "report/bench_table.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/text/quoting.hpp"
#include "base/text/shown.hpp"
#include "report/along.hpp"
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

// Which columns a narrow terminal can do without, the first last.
constexpr int spare_budgets = 1, spare_retention = 2, spare_split = 3, spare_reads = 4, spare_measure = 5,
              spare_cost = 6, spare_kind = 7;

/// Rows of each class are ranked among themselves, one class after the other; columns say which are which.
class ClassCells {
public:
    explicit ClassCells(const Bench& bench)
        : uneven_(any_uneven(bench.rows)), twice_(any_two_passes(bench.rows)), classes_(any_class(bench.rows)) {}
    void add_titles(std::vector<TableColumn>& columns) const {
        if (uneven_) columns.push_back({"budgets", CellKind::text, spare_budgets});
        if (twice_) columns.push_back({"passes", CellKind::number, spare_budgets});
        if (classes_) columns.push_back({"reads", CellKind::text, spare_reads});
    }
    void add(const ScorecardRow& row, std::vector<std::string>& cells) const {
        if (uneven_) cells.emplace_back(to_string(budget_kind(row)));
        if (twice_) cells.push_back(row.scorer_class ? fmt::format("{}", row.scorer_class->passes) : "");
        if (classes_) cells.push_back(reads_text(row));
    }

private:
    bool uneven_, twice_, classes_;
};

/// The splits with figures or documents beside the one that judges.
std::vector<Split> other_splits(const Bench& bench, Split judging) {
    std::vector<Split> others = splits_best_first(bench);
    std::erase_if(others, [&](Split split) {
        const bool figures = std::ranges::any_of(
            bench.rows, [split](const auto& row) { return !std::isnan(of_split(row, split).average); });
        const bool documents = !bench.traces[static_cast<std::size_t>(split)].empty();
        return split == Split::test || split == judging || !(figures || documents);
    });
    return others;
}

/// Rows without a rank because of the documents' number have this in its place.
constexpr std::string_view no_rank = "-";

std::string rank_cell(const ScorecardRow& row, const std::optional<std::size_t>& rank, bool ranked) {
    return rank && !ranked ? std::string(no_rank) : rank_text(row, rank);
}

RowTone tone_of(const ScorecardRow& row, const std::optional<std::size_t>& rank, bool ranked) {
    if (row.kind == RowKind::bound || is_random(row)) return RowTone::quiet;
    return ranked && rank == std::size_t{1} ? RowTone::best : RowTone::plain;
}

Table terminal_table(const Bench& bench) {
    const ClassCells classes(bench);
    const bool ranked = may_rank(bench);
    std::vector<TableColumn> columns{
        {"rank", CellKind::number}, {"scorer", CellKind::code}, {"kind", CellKind::text, spare_kind}};
    classes.add_titles(columns);
    const Split judging = judging_split(bench.traces);
    const std::vector<Split> others = other_splits(bench, judging);
    columns.push_back({is_captured(bench) ? bench.measure : std::string(to_string(judging)), CellKind::number});
    for (const double retention : bench.retentions)
        columns.push_back({fmt::format("@{}", retention_key(retention)), CellKind::number, spare_retention});
    for (const Split split : others) columns.push_back({std::string(to_string(split)), CellKind::number, spare_split});
    for (const std::string& measure : bench.more_measures)
        columns.push_back({measure, CellKind::number, spare_measure});
    if (any_cost(bench.rows)) columns.push_back({cost_title, CellKind::number, spare_cost});
    Table table(std::move(columns));
    for (const auto& [row, rank] : rank_rows(bench.rows, allowed_of(bench))) {
        std::vector<std::string> cells{rank_cell(*row, rank, ranked), row->scorer, std::string(to_string(row->kind))};
        classes.add(*row, cells);
        cells.push_back(figure(test_average(*row)));
        for (const double error : judging_errors(*row).by_retention) cells.push_back(figure(error));
        for (const Split split : others) cells.push_back(figure(of_split(*row, split).average));
        for (std::size_t m = 0; m < bench.more_measures.size(); ++m)
            cells.push_back(figure(judging_errors(*row, m + 1).average));
        if (any_cost(bench.rows)) cells.push_back(cost_text(*row));
        table.add(std::move(cells), tone_of(*row, rank, ranked));
    }
    return table;
}

/// How a format names and writes its figures.
struct Wording {
    bool typed; ///< each column is of one type, and says of what bench a row is
    std::string (*title)(std::string_view measure, std::string_view split, std::string_view figure_name);
    std::string (*number)(double value);
};

/// What a row is: its place in a table for people; for programs the bench that it is of, and a number or nothing.
class Heading {
public:
    Heading(const Bench& bench, bool typed) : bench_(bench), typed_(typed), ranked_(may_rank(bench)) {}
    std::vector<TableColumn> columns() const {
        std::vector<TableColumn> columns;
        if (typed_)
            for (const char* title : {"suite", "protocol", "measure", "split", "documents"})
                columns.push_back({title, CellKind::text});
        columns.insert(columns.end(),
                       {{"rank", CellKind::number}, {"scorer", CellKind::code}, {"kind", CellKind::text}});
        if (typed_) columns.push_back({"overshoots", CellKind::text});
        return columns;
    }
    std::vector<std::string> cells(const ScorecardRow& row, const std::optional<std::size_t>& rank) const {
        const std::string kind(to_string(row.kind));
        if (!typed_) return {rank_cell(row, rank, ranked_), row.scorer, kind};
        return {bench_.suite,
                bench_.protocol,
                bench_.measure,
                std::string(to_string(judging_split(bench_.traces))),
                std::to_string(judging_traces(bench_.traces).size()),
                rank && ranked_ ? std::to_string(*rank) : "",
                row.scorer,
                kind,
                overshoots(row, allowed_of(bench_)) ? "true" : "false"};
    }

private:
    const Bench& bench_;
    bool typed_, ranked_;
};

/// Every figure: the primary measure's, the others', the retentions really used.
Table whole_table(const Bench& bench, const Wording& words) {
    const Heading heading(bench, words.typed);
    std::vector<TableColumn> columns = heading.columns();
    const ClassCells classes(bench);
    const bool used = std::ranges::any_of(bench.rows, [](const auto& row) { return !retention_used(row).empty(); });
    std::vector<Split> splits = splits_best_first(bench);
    std::erase_if(splits, [&bench](Split split) {
        return std::ranges::all_of(bench.rows, [split](const auto& row) { return is_hidden(row, split); });
    });
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
    if (costs) columns.push_back({cost_title, CellKind::number});
    for (const double retention : bench.retentions)
        if (bench.kv_bytes > 0)
            columns.push_back({words.title("", "kv_bytes", retention_key(retention)), CellKind::number});
    columns.push_back({"formula", CellKind::code});
    Table table(std::move(columns));
    for (const auto& [row, rank] : rank_rows(bench.rows, allowed_of(bench))) {
        std::vector<std::string> cells = heading.cells(*row, rank);
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

constexpr Wording for_people{false,
                             [](std::string_view measure, std::string_view split, std::string_view figure_name) {
                                 std::string title = measure.empty()
                                                         ? std::string(split)
                                                         : fmt::format("{} {}", measure_title(measure), split);
                                 if (figure_name != "avg") title.append(" ").append(figure_name);
                                 return title;
                             },
                             figure};

constexpr Wording for_programs{
    true,
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

FittedTable fitted(const Table& table, const Rendering& rendering) {
    return table.fitted(rendering.width.value_or(text::all), rendering.colour);
}

/// The table as the terminal has room for it, and what it had none for.
std::string fitted_text(const FittedTable& fitted) {
    std::string text = fitted.text;
    for (const std::string& whole : fitted.shortened) text += fmt::format("... is {}\n", whole);
    if (!fitted.left_out.empty())
        text += fmt::format("No room for: {} (--wide shows all columns).\n", fmt::join(fitted.left_out, ", "));
    return text;
}

} // namespace

std::string render(const Bench& bench, Format format, const Rendering& rendering) {
    const std::optional<Table> along = along_table(bench);
    switch (format) {
    case Format::json:
        return dump(to_json(bench, rendering.json));
    case Format::csv:
        return whole_table(bench, for_programs).csv();
    case Format::markdown:
        return whole_table(bench, for_people).markdown() + below(line(cut_text(bench.cut, bench.retentions))) +
               below(footnotes(bench, text::markdown_code)) +
               (along ? fmt::format("\n{}\n\n{}", along_note, along->markdown()) : "");
    case Format::table:
        break;
    }
    const FittedTable rows = fitted(terminal_table(bench), rendering);
    const bool times = std::ranges::find(rows.left_out, cost_title) == rows.left_out.end();
    return fitted_text(rows) +
           below(footnotes(
               bench, [](std::string_view name) { return text::line(name); }, times)) +
           (along ? fmt::format("\n{}\n\n{}", along_note, fitted_text(fitted(*along, rendering))) : "");
}

} // namespace evictlab::report
