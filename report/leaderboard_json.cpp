// A leaderboard as JSON: the content of its Markdown, in full.
// SPDX-License-Identifier: MIT
#include "framework/scorers/class_json.hpp"
#include "report/bench_json.hpp"
#include "report/captured_text.hpp"
#include "report/comparison.hpp"
#include "report/footnotes.hpp"
#include "report/leaderboard_text.hpp"
#include "report/ranking.hpp"
#include "report/row_class.hpp"
#include "report/row_cost.hpp"
#include "report/shape.hpp"
#include "report/shown_formula.hpp"
#include "report/verdict_text.hpp"

namespace evictlab::report {
namespace {

Json optional_number(const std::optional<double>& value) { return value ? Json(*value) : Json(nullptr); }

Json estimate_to_json(const Estimate& estimate) {
    Json json{{"value", estimate.value}};
    if (estimate.interval) json["interval"] = {estimate.interval->low, estimate.interval->high};
    return json;
}

Json gap_to_json(const LeaderboardTable& table, const GapClosed& gap) {
    Json json = Json::object();
    for (std::size_t r = 0; r < table.retentions.size(); ++r)
        json[retention_key(table.retentions[r])] = optional_number(gap.by_retention.at(r));
    json["avg"] = optional_number(gap.average);
    return json;
}

Json splits_to_json(const LeaderboardTable& table, const ScorecardRow& row, std::size_t measure) {
    Json json = Json::object();
    for (const Split split : all_splits)
        if (const SplitErrors& errors = of_measure(row, measure, split); has_figures(errors))
            json[std::string(to_string(split))] = to_json(errors, table.retentions);
    return json;
}

/// Kinds of documents, measures, intervals and budgets.
void add_captured(Json& json, const LeaderboardTable& table, const LeaderboardRow& row) {
    const ScorecardRow& scorecard = row.scorecard;
    for (std::size_t m = 0; m < table.more_measures.size(); ++m)
        json["measures"][table.more_measures[m]] = splits_to_json(table, scorecard, m + 1);
    json["test"] = estimate_to_json(row.test);
    if (row.difference) json["against_best_published"] = estimate_to_json(*row.difference);
    json["win"] = row.win;
    if (row.from_one_pass) json["against_best_one_pass"] = estimate_to_json(*row.from_one_pass);
    json["gaps_closed"][table.measure] = gap_to_json(table, row.gap_closed.at(0));
    for (std::size_t m = 0; m < table.more_measures.size(); ++m)
        json["gaps_closed"][table.more_measures[m]] = gap_to_json(table, row.gap_closed.at(m + 1));
    if (const auto& used = retention_used(scorecard); !used.empty())
        for (std::size_t r = 0; r < table.retentions.size(); ++r)
            json["retention_used"][retention_key(table.retentions[r])] = used[r];
    for (std::size_t r = 0; r < table.retentions.size(); ++r)
        if (is_frozen(scorecard, r)) json["frozen"].push_back(table.retentions[r]);
    if (!has_documents(table)) return;
    for (const auto& kind : document_kinds(table))
        json["kinds"][kind.name] = kind_average(judging_errors(scorecard), kind);
}

Json row_to_json(const LeaderboardTable& table, const LeaderboardRow& row) {
    Json json{{"rank", row.rank ? Json(*row.rank) : Json(nullptr)},
              {"scorer", row.scorecard.scorer},
              {"kind", to_string(row.scorecard.kind)}};
    if (row.scorecard.scorer_class) json["class"] = to_json(*row.scorecard.scorer_class);
    if (row.scorecard.cost) json["cost"] = to_json(*row.scorecard.cost);
    json["splits"] = splits_to_json(table, row.scorecard, 0);
    if (table.captured)
        add_captured(json, table, row);
    else
        json["improvement_over_hybrid"] = optional_number(row.improvement_over_hybrid);
    json["gap_closed"] = optional_number(row.gap_closed.at(0).average);
    if (!row.scorecard.formula.empty()) {
        json["formula"] = row.scorecard.formula;
        add_shown(json, row.scorecard.formula);
    }
    json["command"] = row.command;
    json["sources"] = row.sources;
    return json;
}

Json run_to_json(const LeaderboardTable::Run& run) {
    const auto& summary = run.summary;
    Json json{{"file", run.file},
              {"seed", summary.seed},
              {"start", summary.start},
              {"generations", summary.generation},
              {"evaluations", summary.evaluations},
              {"duplicates", summary.duplicates},
              {"stop_reason", summary.stop_reason},
              {"champion", champion_label(summary)},
              {summary.champion.genome.text_key(), summary.champion.genome.text()}};
    add_shown(json, summary.champion.genome);
    json["command"] = run_command(summary);
    return json;
}

Json name_or_null(const std::string& name) { return name.empty() ? Json(nullptr) : Json(name); }

Json table_to_json(const LeaderboardTable& table) {
    Json json{{"suite", suite_to_json(table.suite, table.suite_hash, table.suite_parameters_json)},
              {"protocol", table.protocol},
              {"note", protocol_note(table.protocol)},
              {"measure", table.measure},
              {"more_measures", table.more_measures},
              {"retentions", table.retentions},
              {"split", to_string(judging_split(table.traces))},
              {"best_published", name_or_null(table.uniform().best_published)},
              {"rows", Json::array()},
              {"runs", Json::array()}};
    write_cut(table.cut, json);
    if (!table.cut.schedule.usual()) json["schedule"] = to_string(table.cut.schedule);
    for (const auto& row : table.uniform().rows) json["rows"].push_back(row_to_json(table, row));
    for (const TableClass each : table_classes) {
        const RowGroup& group = table.of(each);
        if (each == TableClass{} || group.rows.empty()) continue;
        const std::string budgets(to_string(each.budgets));
        json[each.two_passes ? "best_published_with_two_passes" : "best_published_by_budgets"][budgets] =
            name_or_null(group.best_published);
        Json& rows = json[each.two_passes ? "rows_with_two_passes" : "rows_with_uneven_budgets"];
        for (const auto& row : group.rows) {
            rows.push_back(row_to_json(table, row));
            rows.back()["budgets"] = budgets;
        }
    }
    if (json.contains("rows_with_uneven_budgets")) // as before there were groups: that of the first of them
        json["best_published_with_uneven_budgets"] = json["best_published_by_budgets"].begin().value();
    for (const TraceLabel& document : table.left_out)
        json["left_out"].push_back({{"name", document.name}, {"kind", document.kind}, {"why", document.left_out}});
    if (table.no_claims) json["no_claims"] = true;
    if (!table.sharing_layers.empty()) json["sharing_layers"] = to_json(table.sharing_layers);
    if (table.kv_bytes > 0) json["kv_bytes"] = table.kv_bytes;
    if (!table.near_ranks.empty()) json["ranks_nearer_than_storage"] = table.near_ranks;
    for (const auto& kind : document_kinds(table))
        if (table.captured) json["kinds"][kind.name] = kind.documents.size();
    for (const auto& verdict : table.verdicts) json["verdicts"].push_back(verdict_to_json(verdict));
    for (const auto& run : table.runs) json["runs"].push_back(run_to_json(run));
    for (const PluginError& failure : table.failures)
        json["failures"].push_back({{"plugin", failure.plugin}, {"phase", failure.phase}, {"cause", failure.cause}});
    return json;
}

} // namespace

Json to_json(std::span<const LeaderboardTable> tables, std::span<const EngineTable> engines) {
    Json json{{"schema", leaderboard_schema}, {"suites", Json::array()}};
    for (const auto& table : tables) json["suites"].push_back(table_to_json(table));
    if (!engines.empty()) json["engines"] = engine_to_json(engines);
    return json;
}

} // namespace evictlab::report
