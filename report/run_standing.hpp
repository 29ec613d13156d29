// Where a run's champion stands: between the oracle, the best published row and what the run began from, in words and
// figures that its live view, its summary and its status share. Of train and valid alone: test is a report's.
// SPDX-License-Identifier: MIT
#pragma once
#include <array>
#include <optional>
#include <string>

#include "evolution/yardsticks.hpp"
#include "report/spark_line.hpp"

namespace evictlab::report {

/// Errors by SearchSplit.
struct Standing {
    std::string measure, start_name;
    std::array<double, 2> start{}, champion{};
    bool relative = false; ///< errors are ratios to the best published row's
    std::optional<evolution::Yardsticks> yardsticks{};
};

/// What a figure is: unit, direction, and what is a mean of what. Two lines, short enough for behind a label.
std::array<std::string, 2> figures_text(const Standing& standing);

/// A table of them, best bound first, with the share of the gap closed where the oracle is known.
std::string standing_text(const Standing& standing);

/// "the champion is behind its start on valid: ..." where it is by the figures as they are shown; else "".
std::string behind_text(const Standing& standing);

/// One short line on valid for the live view.
std::string standing_line(const Standing& standing);

} // namespace evictlab::report
