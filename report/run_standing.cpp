// SPDX-License-Identifier: MIT
#include "report/run_standing.hpp"

#include <fmt/format.h>

#include <cmath>

#include "report/bench_notes.hpp"
#include "report/cells.hpp"
#include "report/table.hpp"

namespace evictlab::report {
namespace {

constexpr auto valid = static_cast<std::size_t>(SearchSplit::valid);
constexpr int decimals = 5;

std::string shown(double error) { return std::isfinite(error) ? fmt::format("{:.{}f}", error, decimals) : "n/a"; }

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

std::string standing_text(const Standing& standing) {
    Table table({{standing.relative ? "ratio" : standing.measure, CellKind::text},
                 {"train", CellKind::number},
                 {"valid", CellKind::number},
                 {"", CellKind::text}});
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
                   "of the way from the best published row to the oracle"});
    }
    return table.text();
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
