// SPDX-License-Identifier: MIT
#include "report/page.hpp"

#include <algorithm>
#include <set>

#include "base/output/write_file.hpp"
#include "framework/scorers/class_json.hpp"
#include "framework/scorers/known_scorer.hpp"
#include "framework/scorers/published.hpp"
#include "report/bench_json.hpp"
#include "report/comparison.hpp"
#include "report/footnotes.hpp"
#include "report/leaderboard_text.hpp"
#include "report/page_files.hpp"
#include "report/page_views.hpp"
#include "report/row_cost.hpp"
#include "report/shape.hpp"
#include "report/shown_formula.hpp"

namespace evictlab::report {
namespace {

/// What plugin or formula a row is, and the columns that it reads; adds what these are to `columns`.
Json scorer_json(const ScorecardRow& row, const PluginHost& plugins, Json& columns) {
    Json json{{"kind", to_string(row.kind)}};
    if (row.scorer_class) {
        json["class"] = to_json(*row.scorer_class);
        json["in_words"] = in_words(*row.scorer_class);
    }
    if (row.cost) json["cost"] = to_json(*row.cost);
    if (!row.formula.empty()) json["formula"] = row.formula;
    if (row.kind == RowKind::bound) return json;
    const auto scorer = known_scorer(row.formula.empty() ? row.scorer : '=' + row.formula, plugins);
    if (!scorer) return json;
    if (const auto& plugin = scorer->plugin()) {
        json["description"] = plugin->description();
        json["reference"] = plugin->reference();
        if (const auto twin = formula_twin(row.scorer, plugins)) json["formula"] = *twin;
    }
    if (json.contains("formula")) add_shown(json, json["formula"].get<std::string>());
    std::set<std::string> names; // the ids' own order differs from process to process
    for (const ColumnId column : scorer->columns()) {
        if (column == base_score_id) continue;
        names.insert(columns::name(column));
        columns[columns::name(column)] = columns::info(column).help;
    }
    if (!names.empty()) json["columns"] = names;
    return json;
}

/// The rows that stand in the table or in its verdicts alone.
Json scorers_json(const LeaderboardTable& table, const PluginHost& plugins, Json& columns) {
    Json json = Json::object();
    for (const RowGroup& group : table.groups)
        for (const LeaderboardRow& row : group.rows) {
            Json& written = json[row.scorecard.scorer] = scorer_json(row.scorecard, plugins, columns);
            written["command"] = row.command;
            written["sources"] = row.sources;
            if (const auto& used = retention_used(row.scorecard); !used.empty()) written["retention_used"] = used;
        }
    for (const VerdictTable& verdict : table.verdicts)
        for (const VerdictTableRow& row : verdict.rows)
            if (!json.contains(row.scorecard.scorer)) {
                Json& written = json[row.scorecard.scorer] = scorer_json(row.scorecard, plugins, columns);
                written["sources"] = {verdict.file};
                if (!row.retention_used.empty()) written["retention_used"] = row.retention_used;
            }
    return json;
}

Json left_out_json(const std::vector<TraceLabel>& documents) {
    Json json = Json::array();
    for (const TraceLabel& document : documents)
        json.push_back({{"name", document.name}, {"kind", document.kind}, {"why", document.left_out}});
    return json;
}

Json table_json(const LeaderboardTable& table, const PluginHost& plugins, Json& columns) {
    Json json{{"suite", table.suite},
              {"hash", table.suite_hash},
              {"protocol", table.protocol},
              {"captured", table.captured},
              {"note", protocol_note(table.protocol)},
              {"cut", cut_text(table.cut, table.retentions)},
              {"split", to_string(judging_split(table.traces))},
              {"left_out", left_out_json(table.left_out)},
              {"kv_bytes", table.kv_bytes},
              {"near_ranks", table.near_ranks},
              {"sharing", sharing_note(table.sharing_layers, "the traces hold")},
              {"views", Json::array()}};
    const bool documents = table.captured && has_documents(table);
    const Bootstrap bootstrap(documents ? judging_traces(table.traces).size() : 0);
    const bool measured = std::ranges::any_of(table.groups, [](const auto& group) { return !group.rows.empty(); });
    for (std::size_t m = 0; measured && m <= table.more_measures.size(); ++m)
        json["views"].push_back(measure_view(table, m, bootstrap));
    for (const VerdictTable& verdict : table.verdicts) {
        json["views"].push_back(verdict_view(verdict));
        if (!measured) json["left_out"] = left_out_json(verdict.left_out);
    }
    json["scorers"] = scorers_json(table, plugins, columns);
    for (const auto& run : table.runs)
        json["runs"].push_back(
            {{"file", run.file}, {"champion", champion_label(run.summary)}, {"command", run_command(run.summary)}});
    for (const PluginError& failure : table.failures)
        json["failures"].push_back({{"plugin", failure.plugin}, {"phase", failure.phase}, {"cause", failure.cause}});
    return json;
}

} // namespace

Json page_json(std::span<const LeaderboardTable> tables, const PluginHost& plugins) {
    Json json{{"schema", page_schema}, {"tables", Json::array()}};
    Json columns = Json::object();
    for (const auto& table : tables) json["tables"].push_back(table_json(table, plugins, columns));
    json["columns"] = std::move(columns);
    return json;
}

std::string to_page(std::span<const LeaderboardTable> tables, const PluginHost& plugins) {
    return filled_page("page.html", page_json(tables, plugins));
}

void write_page(std::span<const LeaderboardTable> tables, const PluginHost& plugins,
                const std::filesystem::path& file) {
    write_file(file, to_page(tables, plugins));
}

} // namespace evictlab::report
