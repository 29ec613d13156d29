// SPDX-License-Identifier: MIT
#include "report/run_text.hpp"

#include <fmt/format.h>

#include <cmath>
#include <utility>

#include "base/text/shown.hpp"

namespace evictlab::report {
namespace {

constexpr std::size_t live_spark_width = 16;

} // namespace

void LabelledLines::say(std::string_view label, std::string_view what) {
    const std::size_t columns = width_ && *width_ > 2 * indent_ ? *width_ - indent_ : text::all;
    std::string rest = text::line(what);
    while (text::width(rest) > columns) {
        std::size_t end = rest.size();
        do end = rest.find_last_of(' ', end - 1);
        while (end != rest.npos && end > 0 && text::width(std::string_view(rest).substr(0, end)) > columns);
        if (end == rest.npos || end == 0) break; // a word that has no room anywhere
        text_ += fmt::format("{:<{}}{}\n", std::exchange(label, ""), indent_, rest.substr(0, end));
        rest.erase(0, end + 1);
    }
    text_ += fmt::format("{:<{}}{}\n", label, indent_, rest);
}

std::string time_text(double seconds) {
    const auto s = std::lround(seconds);
    return s < 3600 ? fmt::format("{}:{:02}", s / 60, s % 60)
                    : fmt::format("{}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60);
}

std::string rate_text(double a_second) { return fmt::format("{:.{}f}", a_second, a_second < 10 ? 2 : 0); }

std::string_view made_text(bool tunes) { return tunes ? "parameter sets" : "formulas"; }

std::string shares_text(const evolution::Shares& shares) {
    std::string text = fmt::format("{:.0f} % duplicates", 100 * shares.duplicates);
    if (shares.semantic_duplicates > 0)
        text += fmt::format(", {:.0f} % semantic duplicates", 100 * shares.semantic_duplicates);
    if (shares.raced_out > 0) text += fmt::format(", {:.0f} % out of the race", 100 * shares.raced_out);
    if (shares.refused > 0) text += fmt::format(", {:.0f} % refused by the plugin", 100 * shares.refused);
    return text;
}

ErrorSparks error_sparks(std::span<const evolution::HistoryLine> history, std::size_t width, Glyphs glyphs) {
    if (history.size() > 1 && history.front().generation == 0) history = history.subspan(1);
    std::vector<double> train, valid;
    for (const evolution::HistoryLine& line : history) {
        train.push_back(line.best_train);
        valid.push_back(line.champion_valid);
    }
    return {spark_line(train, width, glyphs), spark_line(valid, width, glyphs)};
}

std::string progress_note(const evolution::RunProgress& progress) {
    return fmt::format("generation {}, train {:.5f}, valid {:.5f}, {} {}/s, {}", progress.generation,
                       progress.champion_train, progress.champion_valid, rate_text(progress.evaluations_a_second),
                       made_text(progress.tunes), shares_text(progress.shares));
}

std::vector<std::string> progress_block(const evolution::RunProgress& progress, const Standing& standing,
                                        Glyphs glyphs) {
    const ErrorSparks sparks = error_sparks(progress.history, live_spark_width, glyphs);
    return {fmt::format("  generation {}, best train {:.5f} {}  valid {:.5f} {}{}", progress.generation,
                        progress.best_train, sparks.train, progress.champion_valid, sparks.valid,
                        progress.champion_kl ? fmt::format("  KL {:.5f}", *progress.champion_kl) : ""),
            "  " + standing_line(standing),
            fmt::format("  {} {}/s, {}{}", rate_text(progress.evaluations_a_second), made_text(progress.tunes),
                        shares_text(progress.shares),
                        progress.archive > 0 ? fmt::format(", archive of {}", progress.archive) : ""),
            fmt::format("  {}", progress.champion)};
}

} // namespace evictlab::report
