// Plots of a leaderboard: error against retention, one line a scorer and one panel a measure, as SVG drawn by gnuplot.
// SPDX-License-Identifier: MIT
#pragma once
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "report/leaderboard.hpp"

namespace evictlab::report {

/// The commands that make gnuplot print a table's plot. Lines are labelled at their ends; the best published method,
/// the best scorer that is none and the oracle stand out. Where it is known, a point lies at the retention really used;
/// rows that overshoot are left out.
std::string plot_script(const LeaderboardTable& table);

/// One SVG a table, SUITE-PROTOCOL.svg in the folder, which is made where it is not there. The files by table; none at
/// all where gnuplot is not installed. Throws Error where a file cannot be written or gnuplot fails, and what `check`
/// throws, which is given every name before the first is written.
std::vector<std::filesystem::path> write_plots(std::span<const LeaderboardTable> tables,
                                               const std::filesystem::path& folder,
                                               const std::function<void(const std::filesystem::path&)>& check = {});

} // namespace evictlab::report
