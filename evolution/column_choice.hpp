// Which columns a run may read, where somebody says so. SPDX-License-Identifier: MIT
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "evolution/search.hpp"
#include "evolution/setup.hpp"

namespace evictlab::evolution {

struct ColumnChoice {
    std::vector<std::string> only;    ///< these alone; empty: those that searches on the suites usually read
    std::vector<std::string> without; ///< none of these, under any parameters where the name has none, nor derived ones
    /// Why one cannot be had where the champion shall go, or "". May be empty.
    std::function<std::string(ColumnId)> refused{};

    bool any() const { return !only.empty() || !without.empty() || refused; }
};

/// From then on the run reads these columns and no others, whatever brings them in. Throws UsageError for a name that
/// is no column, or none that all suites give, where nothing is left by which tokens can be told apart, and for a start
/// that reads others.
void choose_columns(const SearchSuites& search, const ColumnChoice& choice, RunConfig& config);

/// Throws OptionError where the start reads what the run may not.
void check_start(const RunConfig& config);

/// The first column of the formula that the run may not read, or "".
std::string not_readable(const formula::Formula& formula, const RunConfig& config);

} // namespace evictlab::evolution
