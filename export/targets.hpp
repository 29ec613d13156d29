// Where a formula may go, and what each place refuses: one answer for exports, for searches that must end in something
// that can go there, and for whoever shows a champion. SPDX-License-Identifier: MIT
#pragma once
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "framework/formula/formula.hpp"

namespace evictlab::exporting {

struct Target {
    std::string_view name; ///< `kvpress`, as --to and --exportable take it
    std::string_view help;
    bool written = true; ///< by evictlab export; the others run scorers as they are
};

/// In the order in which they are told.
std::span<const Target> targets();
/// "formula, cpp-plugin, kvpress or torch": of all, or of those that are written.
std::string target_names(bool written_alone);
/// Throws UsageError that lists them.
const Target& find_target(std::string_view name);

/// Why a column cannot be had there beside any other, or "".
std::string refusal(const Target& target, ColumnId column);
/// Why a formula cannot go there: "uses the column 'token_type', which it cannot have: ..."; or "". Calibrated columns
/// are taken: their calibration goes along.
std::string refusal(const Target& target, const formula::Formula& formula);

/// Where a formula can go, and where not: "formula, cpp-plugin; not kvpress, torch: it uses ...", a line a reason.
std::vector<std::string> destinations(const formula::Formula& formula);

} // namespace evictlab::exporting
