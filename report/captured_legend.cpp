// SPDX-License-Identifier: MIT
#include "report/captured_legend.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/text/quoting.hpp"
#include "framework/damage/measure.hpp"
#include "report/bench_notes.hpp"
#include "report/cells.hpp"
#include "report/comparison.hpp"
#include "report/footnotes.hpp"
#include "report/left_out.hpp"
#include "report/ranking.hpp"
#include "report/row_class.hpp"
#include "report/row_cost.hpp"

namespace evictlab::report {
namespace {

bool any_overshoots(const LeaderboardTable& table) {
    const auto any = [&](const RowGroup& group) {
        return std::ranges::any_of(group.rows,
                                   [&](const auto& row) { return overshoots(row.scorecard, allowed_of(table)); });
    };
    return std::ranges::any_of(table.groups, any);
}

std::string gap_note(const LeaderboardTable& table) {
    if (table.uniform().best_published.empty())
        return "Without a published method among the rows, there is no gap to close.";
    const std::string best = text::markdown_code(table.uniform().best_published);
    std::string text =
        fmt::format("\"against best published\": the row minus {}. \"gap closed\": share of the way from "
                    "the best published row by that measure to the oracle.",
                    best);
    if (std::ranges::any_of(table.groups, shows_one_pass))
        text += fmt::format(" \"against one pass\": a row with two passes minus {}, which is no rival of it.", best);
    return text;
}

std::vector<ScorecardRow> scorecards(const LeaderboardTable& table) {
    std::vector<ScorecardRow> rows;
    for (const RowGroup& group : table.groups)
        for (const auto& row : group.rows) rows.push_back(row.scorecard);
    return rows;
}

std::string frozen_of(const LeaderboardTable& table) {
    return frozen_note(scorecards(table), table.retentions, table.cut.keep, text::markdown_code);
}

std::string cost_of(const LeaderboardTable& table) {
    return cost_note(places_of(scorecards(table)), table.protocol, table.kv_bytes, table.retentions,
                     text::markdown_code);
}

} // namespace

std::string captured_legend(const LeaderboardTable& table) {
    std::string text =
        fmt::format("Mean over {} of {}, and over the retentions where none is named; lower is "
                    "better.",
                    document_count(judging_traces(table.traces).size()), judging_split_text(table.traces));
    const auto shown = [&](const std::string& measure) {
        return table.measure == measure || std::ranges::count(table.more_measures, measure) > 0;
    };
    if (shown("output_error")) text += fmt::format(" Output error: {}.", measure_meaning("output_error"));
    if (shown("attention_loss")) text += fmt::format(" Attention loss: {}.", measure_meaning("attention_loss"));
    if (shown("predicted_kl")) text += fmt::format(" Predicted KL: the {}.", measure_meaning("predicted_kl"));
    if (shows_other_model(table))
        text += fmt::format(" \"other model\": the mean over {} of the split {}, which does not rank.",
                            document_count(table.traces[static_cast<std::size_t>(Split::test_other_model)].size()),
                            to_string(Split::test_other_model));
    if (!table.verdicts.empty())
        text += " KL: the model's own verdict below, the geometric mean over documents and retentions.";
    text += "\n\n" + gap_note(table) +
            " The oracle keeps what has the most attention: no fixed set of that size has a "
            "lower attention loss.";
    if (shown("output_error")) text += " It is no bound for the output error, though far ahead in it.";
    text += ' ';
    text += has_documents(table)
                ? uncertainty_note(judging_traces(table.traces).size(), "the interval of the difference lies below 0")
                : "Errors of single documents are not in the results, so there are no intervals.";
    if (std::ranges::any_of(table.groups, [&](const RowGroup& group) { return shows_retention_used(table, group); }))
        text +=
            fmt::format(" \"retention used\": where the share of tokens really kept is {} or more away from what was "
                        "asked.",
                        same_retention);
    if (std::ranges::any_of(table.groups, [](const RowGroup& group) { return any_class(group.rows); }))
        text += ' ' + std::string(reads_note);
    if (any_overshoots(table)) text += ' ' + std::string(overshoots_note);
    if (!table.left_out.empty()) text += "\n\n" + left_out_note(table.left_out, table.no_claims);
    if (!table.near_ranks.empty())
        text += fmt::format("\n\nRanks {} are nearer to each other than {:.0f} %, by which figures of traces stored as "
                            "I8 move against F32: they say nothing of who is ahead.",
                            table.near_ranks, 100 * i8_resolution);
    for (const std::string& note :
         {frozen_of(table), sharing_note(table.sharing_layers, "the traces hold"), cost_of(table)})
        if (!note.empty()) text += "\n\n" + note;
    if (const std::string bare = bare_names_text(table.bare, text::markdown_code); !bare.empty()) text += "\n\n" + bare;
    return text + "\n";
}

std::string used_text(const LeaderboardTable& table, const ScorecardRow& row) {
    return retention_used_text(table.retentions, retention_used(row));
}

bool shows_retention_used(const LeaderboardTable& table, const RowGroup& group) {
    return std::ranges::any_of(group.rows, [&](const auto& row) { return !used_text(table, row.scorecard).empty(); });
}

bool shows_other_model(const LeaderboardTable& table) {
    return judging_split(table.traces) == Split::test &&
           !table.traces[static_cast<std::size_t>(Split::test_other_model)].empty();
}

bool shows_one_pass(const RowGroup& group) {
    return std::ranges::any_of(group.rows, [](const auto& row) { return row.from_one_pass.has_value(); });
}

} // namespace evictlab::report
