// SPDX-License-Identifier: MIT
#include "report/run_standing.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>

#include "base/statistics/bootstrap.hpp"
#include "base/text/shown.hpp"
#include "framework/damage/measure.hpp"
#include "report/bench_notes.hpp"
#include "report/cells.hpp"
#include "report/table.hpp"

namespace evictlab::report {
namespace {

constexpr auto valid = static_cast<std::size_t>(SearchSplit::valid);
constexpr int decimals = 5;

std::string shown(double error) { return std::isfinite(error) ? fmt::format("{:.{}f}", error, decimals) : "n/a"; }

/// One a document: means over the retentions. None of a measure whose mean over documents is not arithmetic.
std::vector<double> document_means(const FormulaErrors& errors, std::string_view measure) {
    std::vector<double> means;
    if (measure == to_string(Measure::predicted_kl)) return means;
    for (const std::vector<double>& document : errors.by_document) {
        double sum = 0;
        for (const double error : document) sum += error;
        means.push_back(sum / static_cast<double>(document.size()));
    }
    return means;
}

/// "lower than X by 0.1 [...]" of the champion, by document; "" where the two cannot be paired.
std::string difference_text(const Standing& standing, const std::vector<double>& from, std::string_view name) {
    const std::vector<double>& champion = standing.champion_valid;
    if (champion.empty() || from.size() != champion.size()) return "";
    std::vector<double> differences(champion.size());
    std::ranges::transform(champion, from, differences.begin(), std::minus<>());
    const Estimate estimate = Bootstrap(differences.size()).mean(differences);
    const char* const told = estimate.interval->below(0)   ? "lower"
                             : estimate.interval->above(0) ? "higher"
                                                           : "not told apart";
    return fmt::format("champion minus {} on valid: {}, {}", name, estimate_text(estimate, decimals, true), told);
}

/// As it is read off the screen.
double rounded(double error) { return std::round(error * 1e5) / 1e5; }

} // namespace

std::array<std::string, 2> figures_text(const Standing& standing) {
    if (standing.relative)
        return {fmt::format("ratios of {} to the best published row's, by retention;", standing.measure),
                "their mean: 1 is level with that row, lower is better"};
    return {fmt::format("{}: {},", standing.measure, measure_meaning(standing.measure)),
            fmt::format("{}; mean over patterns, then retentions; lower is better", measure_unit(standing.measure))};
}

Standing standing_between(Standing known, const evolution::RunState& state) {
    const evolution::Candidate &start = state.champions.front(), &champion = state.champion();
    known.start = {start.train.average, start.valid->average};
    known.champion = {champion.train.average, champion.valid->average};
    known.documents = champion.valid->by_document.size();
    if (known.several) return known;
    known.start_valid = document_means(*start.valid, known.measure);
    known.champion_valid = document_means(*champion.valid, known.measure);
    return known;
}

std::string standing_text(const Standing& standing, std::optional<std::size_t> width) {
    Table table({{standing.relative ? "ratio" : standing.measure, CellKind::text},
                 {"train", CellKind::number},
                 {"valid", CellKind::number},
                 {"", CellKind::code}});
    const auto add = [&table](std::string_view what, const std::array<double, 2>& errors, const std::string& name) {
        table.add({std::string(what), shown(errors[0]), shown(errors[1]), name});
    };
    if (standing.yardsticks) {
        add("oracle", standing.yardsticks->oracle, "");
        add("best published", standing.yardsticks->published, standing.yardsticks->published_name);
    } else if (standing.relative) {
        add("best published", {1, 1}, "");
    }
    add("start", standing.start, standing.start_name);
    add("champion", standing.champion, "");
    if (standing.yardsticks) {
        const auto share = [&standing](SearchSplit split) {
            return percent(gap_closed(*standing.yardsticks, split, standing.champion[static_cast<std::size_t>(split)]),
                           1);
        };
        table.add({"gap closed", share(SearchSplit::train), share(SearchSplit::valid),
                   "of the way from best published to oracle"});
    }
    return table.fitted(width.value_or(text::all), false).text;
}

std::vector<std::string> claims_of(const Standing& standing) {
    if (!standing.relative || standing.documents == 0) return {};
    if (standing.documents < documents_for_a_claim)
        return {"too few to tell the champion from its start or from other rows"};
    std::vector<std::string> claims{difference_text(standing, standing.start_valid, "start")};
    if (standing.yardsticks)
        claims.push_back(difference_text(standing, standing.yardsticks->rival_valid, standing.yardsticks->rival));
    std::erase(claims, "");
    return claims;
}

std::string behind_text(const Standing& standing) {
    const bool on_train = rounded(standing.champion[0]) > rounded(standing.start[0]);
    const bool on_valid = rounded(standing.champion[valid]) > rounded(standing.start[valid]);
    if (!on_train && !on_valid) return "";
    return fmt::format("the champion is behind its start on {}", on_train && on_valid ? "train and valid"
                                                                 : on_train           ? "train"
                                                                                      : "valid");
}

std::string standing_line(const Standing& standing) {
    std::string text = fmt::format("valid{}: start {:.4f}", standing.relative ? " ratio" : "", standing.start[valid]);
    if (const auto& yardsticks = standing.yardsticks) {
        text += fmt::format(", best published {:.4f}, oracle {:.4f}", yardsticks->published[valid],
                            yardsticks->oracle[valid]);
        if (const auto share = gap_closed(*yardsticks, SearchSplit::valid, standing.champion[valid]))
            text += fmt::format(", gap closed {}", percent(share, 0));
    } else if (standing.relative) {
        text += ", best published 1";
    }
    return text;
}

} // namespace evictlab::report
