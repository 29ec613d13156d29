// SPDX-License-Identifier: MIT
#include "report/verdict_text.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "base/statistics/bootstrap.hpp"
#include "base/text/quoting.hpp"
#include "framework/protocols/protocol.hpp"
#include "framework/scorers/class_json.hpp"
#include "report/bench_json.hpp"
#include "report/bench_table.hpp"
#include "report/cells.hpp"
#include "report/footnotes.hpp"
#include "report/left_out.hpp"
#include "report/ranking.hpp"
#include "report/row_class.hpp"
#include "report/row_cost.hpp"
#include "report/shape.hpp"
#include "report/table.hpp"

namespace evictlab::report {
namespace {

/// Of VerdictTableRow::figures.
std::string figure_name(const VerdictTable& table, std::size_t f) {
    return f == 0 ? "all" : retention_key(table.retentions[f - 1]);
}

std::string ratio_text(const VerdictTable& table, const VerdictTableRow& row, std::size_t f) {
    const VerdictFigure& shown = row.figures[f];
    if (row.scorecard.scorer == table.best_of(table_class(row.scorecard))[f]) return "best published";
    if (!shown.ratio) return "n/a";
    return estimate_text(*shown.ratio, 2) + (shown.win ? " win" : "");
}

/// A rank, where there are documents enough to tell rows apart.
std::string rank_cell(const VerdictTable& table, const VerdictTableRow& row) {
    return row.rank && table.documents < documents_for_a_claim ? "-" : rank_text(row.scorecard, row.rank);
}

/// "geometric / arithmetic" and the ratio of geometric means, at each retention and over all. Rows with two passes have
/// a table of their own.
Table row_table(const VerdictTable& table, bool two_passes) {
    const bool uneven = any_uneven(table.rows), classes = any_class(table.rows);
    std::vector<TableColumn> columns{{"rank", CellKind::number}, {"scorer", CellKind::code}};
    if (uneven) columns.push_back({"budgets", CellKind::text, 1});
    if (classes) columns.push_back({"reads", CellKind::text, spare_at_once});
    for (std::size_t f = 0; f <= table.retentions.size(); ++f) {
        const int of_one = f == 0 ? 0 : spare_at_once + 1; // at a retention
        columns.push_back({"KL " + figure_name(table, f), CellKind::number, of_one});
        columns.push_back({"ratio " + figure_name(table, f), CellKind::number, of_one});
        if (two_passes)
            columns.push_back({"to one pass " + figure_name(table, f), CellKind::number, spare_at_once + 2});
    }
    const bool costs = any_cost(table.rows);
    if (costs) columns.push_back({"us", CellKind::number, spare_at_once});
    Table out(std::move(columns));
    for (const auto& row : table.rows) {
        if (table_class(row.scorecard).two_passes != two_passes) continue;
        std::vector<std::string> cells{rank_cell(table, row), row.scorecard.scorer};
        if (uneven) cells.emplace_back(to_string(budget_kind(row.scorecard)));
        if (classes) cells.push_back(reads_text(row.scorecard));
        for (std::size_t f = 0; f < row.figures.size(); ++f) {
            cells.push_back(
                fmt::format("{} / {}", figure(row.figures[f].geometric), figure(row.figures[f].arithmetic)));
            cells.push_back(ratio_text(table, row, f));
            const auto& uniform = row.figures[f].uniform_ratio;
            if (two_passes) cells.push_back(uniform ? estimate_text(*uniform, 2) : "n/a");
        }
        if (costs) cells.push_back(cost_text(row.scorecard));
        out.add(std::move(cells));
    }
    return out;
}

Table kind_table(const VerdictTable& table) {
    std::vector<TableColumn> columns{{"scorer", CellKind::code}};
    for (const auto& kind : table.kinds)
        for (std::size_t r = 1; r <= table.retentions.size(); ++r)
            columns.push_back({fmt::format("{} ({}) {}", kind.name.empty() ? "no kind" : kind.name,
                                           kind.documents.size(), figure_name(table, r)),
                               CellKind::number});
    Table out(std::move(columns));
    for (const auto& row : table.rows) {
        std::vector<std::string> cells{row.scorecard.scorer};
        for (const auto& kind : row.kinds)
            for (std::size_t r = 1; r < kind.size(); ++r) cells.push_back(figure(kind[r].geometric));
        out.add(std::move(cells));
    }
    return out;
}

Table likelihood_table(const VerdictTable& table) {
    std::vector<TableColumn> columns{{"scorer", CellKind::code}};
    for (std::size_t f = 0; f <= table.retentions.size(); ++f)
        columns.push_back({figure_name(table, f), CellKind::number});
    columns.push_back({"retention used", CellKind::text});
    Table out(std::move(columns));
    for (const auto& row : table.rows) {
        std::vector<std::string> cells{row.scorecard.scorer};
        for (const auto& shown : row.figures) cells.push_back(fmt::format("{:+.4f}", shown.delta_nll));
        cells.push_back(retention_used_text(table.retentions, row.retention_used));
        out.add(std::move(cells));
    }
    return out;
}

std::string best_note(const VerdictTable& table) {
    std::string best;
    for (const TableClass each : table_classes) {
        if (table.best_of(each).front().empty()) continue;
        best += fmt::format("{}with {} (", best.empty() ? "" : "; ", in_words(each));
        for (std::size_t f = 0; f < table.best_of(each).size(); ++f)
            best += fmt::format("{}{}: {}", f > 0 ? ", " : "", figure_name(table, f),
                                text::markdown_code(table.best_of(each)[f]));
        best += ')';
    }
    if (best.empty()) return "Without a published method among the rows, there are no ratios.";
    std::string text =
        fmt::format("\"ratio\": the geometric mean over that of the best published row of the same class, "
                    "{}.",
                    best);
    if (any_two_passes(table.rows))
        text += " \"to one pass\": over that of the best published row with one pass and uniform budgets, which is no "
                "rival.";
    return text;
}

std::string cost_of(const VerdictTable& table) {
    std::vector<ScorecardRow> rows;
    for (const auto& row : table.rows) rows.push_back(row.scorecard);
    return cost_note(places_of(rows), table.protocol, table.kv_bytes, table.retentions, text::markdown_code);
}

std::string legend(const VerdictTable& table) {
    std::string text = fmt::format(
        "KL divergence of the model's next-token distribution from the run without eviction, over the continuation of "
        "{}, in nats a token; lower is better. Each cell has the geometric mean over documents, in which every "
        "document "
        "counts the same, and after the stroke the arithmetic mean, which documents with a failed lookup rule. {} {}\n",
        document_count(table.documents), best_note(table),
        uncertainty_note(table.documents, "the ratio's interval lies below 1") +
            (table.documents < documents_for_a_claim ? " They are too few to tell rows apart, so none has a rank."
                                                     : ""));
    if (any_class(table.rows)) text += fmt::format("\n{}\n", reads_note);
    for (const std::string& note : {sharing_note(table.sharing_layers, "have no sliding window"), cost_of(table)})
        if (!note.empty()) text += "\n" + note + "\n";
    if (!table.left_out.empty()) text += "\n" + left_out_note(table.left_out, table.no_claims) + "\n";
    return text;
}

Json figure_to_json(const VerdictFigure& shown) {
    Json json{{"kl_geometric", shown.geometric}, {"kl_arithmetic", shown.arithmetic}, {"delta_nll", shown.delta_nll}};
    const auto add = [&json](const std::string& key, const std::optional<Estimate>& ratio) {
        if (!ratio) return;
        json[key] = ratio->value;
        if (const auto& interval = ratio->interval) json[key + "_interval"] = {interval->low, interval->high};
    };
    add("ratio", shown.uniform_ratio);
    add("class_ratio", shown.ratio);
    if (shown.ratio || shown.uniform_ratio) json["win"] = shown.win;
    return json;
}

Json figures_to_json(const VerdictTable& table, const std::vector<VerdictFigure>& figures) {
    Json json = Json::object();
    for (std::size_t f = 0; f < figures.size(); ++f) json[figure_name(table, f)] = figure_to_json(figures[f]);
    return json;
}

/// Where it is not the usual one.
std::string way_of(const VerdictTable& table) {
    if (table.protocol == usual_protocol(true)) return "";
    std::string way = fmt::format(", protocol {}", text::markdown_code(table.protocol));
    if (!table.schedule.empty())
        way += fmt::format(", schedule {}, text {}", text::markdown_code(table.schedule), table.text);
    return way;
}

} // namespace

std::string verdict_to_markdown(const VerdictTable& table, Detail detail) {
    std::string text =
        fmt::format("#### The verdict of {} itself{}\n\n", text::markdown_code(table.model), way_of(table));
    BenchCut numbers; // the shape is the whole table's
    numbers.keep = table.cut.keep;
    if (const std::string cut = cut_text(numbers, table.retentions); !cut.empty()) text += cut + "\n\n";
    text += row_table(table, false).markdown();
    if (any_two_passes(table.rows))
        text += "\nWith two passes over the prompt (ranked and compared among themselves):\n\n" +
                row_table(table, true).markdown();
    text += "\n" + legend(table);
    const auto add = [&](std::string_view title, const Table& more) {
        text += '\n';
        text +=
            detail == Detail::brief ? folded(title, more.markdown()) : fmt::format("{}:\n\n{}", title, more.markdown());
    };
    add("The verdict by kind of document: geometric mean of the KL divergence", kind_table(table));
    add("Change of the mean negative log-likelihood, in nats a token", likelihood_table(table));
    return text;
}

std::string verdict_to_text(const VerdictTable& table, std::size_t width, bool colour) {
    std::string text = fmt::format("The verdict of {} itself{}\n", table.model, way_of(table));
    std::vector<std::string> left_out;
    const auto add = [&](bool two_passes) {
        const FittedTable fitted = row_table(table, two_passes).fitted(width, colour);
        text += "\n" + fitted.text;
        for (const std::string& whole : fitted.shortened) text += fmt::format("... is {}\n", whole);
        for (const std::string& column : fitted.left_out)
            if (std::ranges::find(left_out, column) == left_out.end()) left_out.push_back(column);
    };
    add(false);
    if (any_two_passes(table.rows)) {
        text += "\nWith two passes over the prompt (ranked and compared among themselves):\n";
        add(true);
    }
    if (!left_out.empty())
        text += fmt::format("No room for: {} (--wide shows all columns).\n", fmt::join(left_out, ", "));
    return text + "\n" + legend(table);
}

namespace {

/// By figure; null where no row is published.
Json best_to_json(const VerdictTable& table, TableClass of) {
    Json json = Json::object();
    for (std::size_t f = 0; f < table.best_of(of).size(); ++f) {
        const std::string& best = table.best_of(of)[f];
        json[figure_name(table, f)] = best.empty() ? Json(nullptr) : Json(best);
    }
    return json;
}

} // namespace

Json verdict_to_json(const VerdictTable& table) {
    Json json{{"file", table.file},           {"model", table.model},
              {"protocol", table.protocol},   {"retentions", table.retentions},
              {"documents", table.documents}, {"left_out", Json::array()},
              {"kinds", Json::object()},      {"best_published", best_to_json(table, TableClass{})},
              {"rows", Json::array()}};
    for (const TraceLabel& document : table.left_out)
        json["left_out"].push_back({{"name", document.name}, {"kind", document.kind}, {"why", document.left_out}});
    if (table.no_claims) json["no_claims"] = true;
    if (!table.sources.empty()) json["sources"] = table.sources;
    if (!table.sharing_layers.empty()) json["sharing_layers"] = to_json(table.sharing_layers);
    if (table.kv_bytes > 0) json["kv_bytes"] = table.kv_bytes;
    write_cut(table.cut, json);
    for (const auto& kind : table.kinds) json["kinds"][kind.name] = kind.documents.size();
    for (const auto& row : table.rows) {
        const TableClass own = table_class(row.scorecard);
        json["best_published_by_class"][to_string(own)] = best_to_json(table, own);
        Json& written = json["rows"].emplace_back(Json{{"rank", row.rank ? Json(*row.rank) : Json(nullptr)},
                                                       {"scorer", row.scorecard.scorer},
                                                       {"compared_as", to_string(own)},
                                                       {"figures", figures_to_json(table, row.figures)}});
        if (has_uneven_budgets(row.scorecard)) written["uneven_budgets"] = true;
        if (row.scorecard.scorer_class) written["class"] = to_json(*row.scorecard.scorer_class);
        if (row.scorecard.cost) written["cost"] = to_json(*row.scorecard.cost);
        if (!row.retention_used.empty()) written["retention_used"] = row.retention_used;
        for (std::size_t k = 0; k < row.kinds.size(); ++k)
            written["kinds"][table.kinds[k].name] = figures_to_json(table, row.kinds[k]);
    }
    return json;
}

std::string verdict_cell(const VerdictTable& table, const std::string& scorer) {
    for (const auto& row : table.rows)
        if (row.scorecard.scorer == scorer) return figure(row.figures[0].geometric);
    return "";
}

} // namespace evictlab::report
