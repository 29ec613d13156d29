// Where a champion can go, for whoever shows it. Of a parameter set there is nothing to say: it is its plugin.
// SPDX-License-Identifier: MIT
#pragma once
#include <optional>
#include <string>

#include "base/json/json.hpp"
#include "evolution/genome.hpp"

namespace evictlab::cli {

/// Lines behind the label "goes to", of this width where there is one: where it can be exported or run, and where not
/// and why.
std::string destinations_text(const evolution::Genome& genome, std::optional<std::size_t> width);

/// Adds to a status as report has it, where its champion is a formula that cannot go everywhere: why, by target.
void add_refusals(Json& status);

/// ", not for kvpress, torch" of a formula's text; "" where it can go everywhere.
std::string refused_text(const std::string& formula);

} // namespace evictlab::cli
