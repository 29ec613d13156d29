// What is exported: a formula, and where it comes from. SPDX-License-Identifier: MIT
#pragma once
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "framework/scorers/scorer.hpp"

namespace evictlab::exporting {

struct Champion {
    std::string name; ///< an identifier, unless the user chooses another
    formula::Formula formula;
    /// Lines that say where it comes from, without comment signs: of a run its suite, seed, candidate, hypothesis,
    /// errors and the command that repeats it; of a file its comments.
    std::vector<std::string> provenance;
    /// Of the model, for columns that read one; null: there is none.
    std::shared_ptr<const Calibration> calibration{};
    std::string licence = "MIT"; ///< of the formula, an SPDX expression: a file's own, if it has one
};

/// `what` is a run's state file (its champion), `FILE:ID` one of the run's champions by its id, a `.formula` file, a
/// formula `=...`, or a scorer for which its plugin has a formula. Throws UsageError (none of these, no such champion,
/// not a formula), Error (unreadable) or state::StateError (damaged).
Champion find_champion(const std::string& what, const PluginHost& host);

} // namespace evictlab::exporting
