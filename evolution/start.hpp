// The formula that a search begins from.
// SPDX-License-Identifier: MIT
#pragma once
#include <map>
#include <string>

#include "evolution/search.hpp"
#include "framework/formula/formula.hpp"
#include "framework/plugin/host.hpp"

namespace evictlab::evolution {

/// Of what somebody typed: a formula, a .formula file, or a scorer whose plugin has a formula, on which the run then
/// relies: `plugins` gets its id and hash. Throws OptionError where it is none of these.
formula::Formula start_formula(const std::string& start, PluginHost& host, std::map<std::string, std::string>& plugins);

/// Where a search on real attention begins: at the champion of the last one. A suite without output projections has the
/// values' own norms. Throws OptionError where no plugin has that formula.
std::string usual_start(const SearchSuites& captured, const PluginHost& host);

} // namespace evictlab::evolution
