// What people are shown beside a formula of a result, as the run's own commands show it (evolution/shown.hpp).
// SPDX-License-Identifier: MIT
#pragma once
#include <nlohmann/json.hpp>
#include <string>

#include "evolution/genome.hpp"

namespace evictlab::report {

/// Sets "shown" to the shorter formula with the same scores to the bit, where there is one. Nothing where the text,
/// which may come from a file, is no formula.
void add_shown(nlohmann::ordered_json& json, const std::string& formula);
void add_shown(nlohmann::ordered_json& json, const evolution::Genome& genome);

} // namespace evictlab::report
