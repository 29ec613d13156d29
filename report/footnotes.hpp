// What must be said below a table of a captured suite, for its figures alone do not tell: ranks that the storage of the
// traces does not tell apart, caches that froze, layers that are not there, and what rows cost.
// SPDX-License-Identifier: MIT
#pragma once
#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "framework/bench/scorecard.hpp"

namespace evictlab::report {

/// Figures of a suite whose q, k and v are stored as I8 move by up to this against F32, of their value.
inline constexpr double i8_resolution = 0.02;
/// A cache is called frozen that still holds less than this of what it would hold of the continuation if it kept all
/// tokens alike.
inline constexpr double frozen_below = 0.25;

/// The pairs of neighbouring ranks, as "3 to 5, 8 to 9", whose figures are nearer than the storage tells apart; ""
/// where there are none, or the suite is not stored as I8.
std::string near_ranks(const Bench& bench);
/// A sentence, as evictlab-verdict has it, with "SCORER at 0.10 (0.01)", or at so many tokens where numbers were asked
/// for, for each row whose cache froze under `decode`; "" where none did. `quote` makes a scorer's name safe where it
/// will stand.
std::string frozen_note(std::span<const ScorecardRow> rows, std::span<const double> retentions,
                        std::span<const std::size_t> keep, const std::function<std::string(std::string_view)>& quote);
/// Whether the row's cache froze at one of the retentions, on the split that judges or another one.
bool is_frozen(const ScorecardRow& row, std::size_t retention);
bool is_frozen(const ScorecardRow& row, std::size_t retention, Split split);

/// "Model budgets are divided among the 3 layers of 30 that the traces hold."; `which`: behind "that". "" for none.
std::string sharing_note(std::span<const SharingLayers> sharing, std::string_view which);

inline constexpr std::string_view overshoots_note =
    "Rows that keep over 5 % more than asked at some retention (\"overshoots\") have no rank and are no yardstick.";

/// All as sentences, a line each, for a table of a terminal or Markdown; "" where there is nothing to say. `times`:
/// the table shows how long scoring takes.
std::string footnotes(const Bench& bench, const std::function<std::string(std::string_view)>& quote, bool times = true);

} // namespace evictlab::report
