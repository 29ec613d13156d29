// SPDX-License-Identifier: MIT
#include "report/bench_notes.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/statistics/bootstrap.hpp"
#include "base/text/shown.hpp"
#include "framework/damage/measure.hpp"
#include "framework/formula/formula.hpp"
#include "report/bench_json.hpp"
#include "report/cells.hpp"
#include "report/leaderboard.hpp"
#include "report/ranking.hpp"
#include "report/shape.hpp"

namespace evictlab::report {
namespace {

constexpr std::size_t compared_rows = 3, most_compared_rows = 12; // of long and of short tables

std::string in_terminal(std::string_view name) { return text::line(name); }

std::string splits_line(const Bench& bench) {
    std::string counts;
    for (const Split split : {Split::test, Split::test_other_model, Split::valid, Split::train})
        if (const std::size_t count = bench.traces[static_cast<std::size_t>(split)].size(); count > 0)
            counts += fmt::format("{}{} {}", counts.empty() ? "" : ", ", count, to_string(split));
    if (counts.empty()) return "";
    std::string text = fmt::format("{}: {}.", is_captured(bench) ? "Documents" : "Patterns", counts);
    const bool closed = std::ranges::any_of(
        bench.rows, [](const auto& row) { return is_hidden(row, Split::test); }); // others have figures, or none
    if (closed)
        text += fmt::format(" Figures are of the {} split; test stays closed until --split test, or a report.",
                            to_string(judging_split(bench.traces)));
    return text + "\n";
}

std::string_view within_a_document(std::string_view measure) {
    if (measure == to_string(Measure::predicted_kl)) return "judged queries";
    return measure == to_string(Measure::output_error) ? "layers and judged queries"
                                                       : "layers, heads and judged queries";
}

std::string too_few_line(std::size_t documents) {
    if (documents == 0 || documents >= documents_for_a_claim) return "";
    return fmt::format("{}: too few to tell rows apart, so there are no ranks; {} would do.\n",
                       document_count(documents), documents_for_a_claim);
}

/// What the documents that judge allow to say.
std::string claims_line(const std::vector<TraceLabel>& documents) {
    const auto left_out = static_cast<std::size_t>(
        std::ranges::count_if(documents, [](const TraceLabel& label) { return !label.left_out.empty(); }));
    if (left_out == 0) return too_few_line(documents.size());
    if (left_out == documents.size())
        return "The model can do none of the documents that rank by itself: figures on them carry no claim.\n";
    return fmt::format("By itself the model cannot do {} of the {} that rank; {} in the table, in no comparison.\n",
                       left_out, document_count(documents.size()), left_out == 1 ? "it is" : "they are") +
           too_few_line(documents.size() - left_out);
}

std::string_view in_words(const Interval& interval) {
    if (interval.below(0)) return "lower";
    return interval.above(0) ? "higher" : "not told apart";
}

/// The best ranked rows of a group, random aside, by what they differ from its best published row.
std::string against_best(const LeaderboardTable& table, const RowGroup& group, std::string_view of_which) {
    std::string lines;
    const std::size_t most = group.rows.size() <= most_compared_rows ? most_compared_rows : compared_rows;
    std::size_t shown = 0;
    for (const LeaderboardRow& row : group.rows) {
        const std::string& name = row.scorecard.scorer;
        if (!row.rank || name == group.best_published || is_random(row.scorecard) || !row.difference ||
            !row.difference->interval)
            continue;
        if (++shown > most) break;
        lines += fmt::format("  {}: {}, {}\n", in_terminal(name), estimate_text(*row.difference, 4, true),
                             in_words(*row.difference->interval));
    }
    if (lines.empty()) return "";
    return fmt::format("{} against {}, the best published row{}: difference and its paired 95 % interval over {}:\n{}",
                       in_terminal(measure_title(table.measure)), in_terminal(group.best_published), of_which,
                       document_count(judging_traces(table.traces).size()), lines);
}

std::string comparison(const LeaderboardTable& table) {
    if (!table.captured || judging_traces(table.traces).size() < documents_for_a_claim || table.no_claims) return "";
    if (std::ranges::all_of(table.groups, [](const RowGroup& group) { return group.best_published.empty(); }))
        return "No published method is among the rows to compare them with.\n";
    std::string text;
    for (const TableClass each : table_classes)
        text += against_best(table, table.of(each),
                             each == TableClass{} ? "" : fmt::format(" of those with {}", in_words(each)));
    return text;
}

/// Rows without a budget, whose thresholds were found.
std::string thresholds_lines(const Bench& bench) {
    std::string lines;
    for (const ScorecardRow& row : bench.rows) {
        std::string found;
        for (std::size_t r = 0; r < row.thresholds.size(); ++r)
            found += fmt::format("{}{:.6g} for {}", r == 0 ? "" : ", ", row.thresholds[r],
                                 retention_key(bench.retentions[r]));
        if (!found.empty())
            lines += fmt::format("{}: thresholds found on train: {}.\n", in_terminal(row.scorer), found);
    }
    return lines;
}

/// Rows that say nothing of any token.
std::string ties_lines(const Bench& bench) {
    std::string lines;
    for (const ScorecardRow& row : bench.rows) {
        if (row.kind != RowKind::formula || row.formula.empty()) continue;
        if (formula::canonical(formula::parse(row.formula)).columns().empty())
            lines += fmt::format("{} scores all tokens alike: all are ties, of which the first tokens stay.\n",
                                 in_terminal(row.scorer));
    }
    return lines;
}

/// How many documents or patterns each split has, the measure in words with its unit, what is a mean of what, and
/// whether the documents that judge are too few for any claim.
std::string figures_note(const Bench& bench) {
    const bool captured = is_captured(bench);
    std::string text = splits_line(bench);
    if (const std::string cut = cut_text(bench.cut, bench.retentions); !cut.empty()) text += cut + "\n";
    text += fmt::format("{}: {}, {}; lower is better.\n", in_terminal(bench.measure), measure_meaning(bench.measure),
                        measure_unit(bench.measure));
    text += fmt::format("Means over {}, then {}; where no retention is named, over the retentions too.\n",
                        within_a_document(bench.measure), captured ? "documents" : "patterns");
    return captured ? text + claims_line(judging_traces(bench.traces)) : text;
}

} // namespace

std::string_view measure_unit(std::string_view measure) {
    if (measure == to_string(Measure::predicted_kl)) return "in nats a token";
    return measure == to_string(Measure::output_error) ? "a ratio, without unit" : "from 0 to 1";
}

std::string bench_notes(const Bench& bench, const PluginHost& plugins) {
    const LeaderboardTable table = compared(bench, plugins);
    const std::string bare = bare_names_text(table.bare, in_terminal);
    return figures_note(bench) + comparison(table) + ties_lines(bench) + thresholds_lines(bench) +
           (bare.empty() ? "" : bare + "\n");
}

std::string bare_names_text(std::span<const BareName> names,
                            const std::function<std::string(std::string_view)>& quote) {
    std::string text;
    for (const BareName& bare : names) {
        std::string published;
        for (const std::string& name : bare.published)
            published += fmt::format("{}{}", published.empty() ? "" : " and ", quote(name));
        text += fmt::format("{}{} is {}; the published {} {}.", text.empty() ? "" : " ", quote(bare.name),
                            bare.of_the_seed ? "the seed's rule" : "its plugin's own rule",
                            bare.published.size() == 1 ? "one is" : "ones are", published);
    }
    return text;
}

} // namespace evictlab::report
