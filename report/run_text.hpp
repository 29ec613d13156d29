// Words about a run that its live view, its status and its log share.
// SPDX-License-Identifier: MIT
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "evolution/run.hpp"
#include "report/run_standing.hpp"
#include "report/spark_line.hpp"

namespace evictlab::report {

/// "1:05", with hours "2:01:05".
std::string time_text(double seconds);
/// What a run makes: "formulas", or "parameter sets" where it tunes a plugin.
std::string_view made_text(bool tunes);
/// Of those a second; below 10 with two decimals.
std::string rate_text(double a_second);
/// "12 % duplicates", and of semantic duplicates and of candidates out of the race or refused what there is.
std::string shares_text(const evolution::Shares& shares);
/// Best train error and champion's valid error, oldest first; without generation 0 where there are others, for the
/// start's error is so far above theirs that all of them would look the same.
struct ErrorSparks {
    std::string train, valid;
};
ErrorSparks error_sparks(std::span<const evolution::HistoryLine> history, std::size_t width, Glyphs glyphs);

/// One line, for a log.
std::string progress_note(const evolution::RunProgress& progress);
/// The same and more, with spark lines, in the lines that a terminal shows below a progress bar.
std::vector<std::string> progress_block(const evolution::RunProgress& progress, const Standing& standing,
                                        Glyphs glyphs);

/// Lines of a label and a text behind it, which goes on below itself where it is wider than a terminal.
class LabelledLines {
public:
    explicit LabelledLines(std::optional<std::size_t> width, std::size_t indent = 12)
        : width_(width), indent_(indent) {}
    void say(std::string_view label, std::string_view what);
    std::string take() { return std::exchange(text_, {}); }

private:
    std::optional<std::size_t> width_;
    std::size_t indent_; ///< of the texts behind labels
    std::string text_;
};

} // namespace evictlab::report
