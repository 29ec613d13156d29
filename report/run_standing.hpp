// Where a run's champion stands: between the oracle, the best published row and what the run began from, in words and
// figures that its live view, its summary and its status share. Of train and valid alone: test is a report's.
// SPDX-License-Identifier: MIT
#pragma once
#include <array>
#include <optional>
#include <string>
#include <vector>

#include "evolution/run_state.hpp"
#include "evolution/yardsticks.hpp"
#include "report/spark_line.hpp"

namespace evictlab::report {

/// Errors by SearchSplit.
struct Standing {
    std::string measure, start_name;     ///< the measure of the first suite
    std::vector<std::string> measures{}; ///< of all suites
    std::array<double, 2> start{}, champion{};
    bool relative = false; ///< errors are ratios to the best published row's
    std::optional<evolution::Yardsticks> yardsticks{};
    std::size_t documents = 0;                                        ///< of valid; 0 where nobody knows
    std::vector<std::vector<double>> start_valid{}, champion_valid{}; ///< by document, suite after suite, and retention
};

/// With the figures of start and champion.
Standing standing_between(Standing known, const evolution::RunState& state);

/// What a figure is: unit, direction, and what is a mean of what. Two lines, short enough for behind a label.
std::array<std::string, 2> figures_text(const Standing& standing);

/// A table of them, best bound first, with the share of the gap closed where the oracle is known.
/// In at most `width` columns, where that is given: long names are cut.
std::string standing_text(const Standing& standing, std::optional<std::size_t> width);

/// Of relative errors, how sure the figures are: that a suite's documents are too few to tell, or the paired 95 %
/// intervals of the champion's difference from its start and from the best published row, as far as they are known.
std::vector<std::string> claims_of(const Standing& standing);

/// "the champion is behind its start on valid: ..." where it is by the figures as they are shown; else "".
std::string behind_text(const Standing& standing);

/// One short line on valid for the live view.
std::string standing_line(const Standing& standing);

} // namespace evictlab::report
