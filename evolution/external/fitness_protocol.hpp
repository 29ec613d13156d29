// Protocol evictlab-fitness/1, JSON Lines between a search and the processes that hold its suites' documents
// (docs/farm.md): what both sides write and read. SPDX-License-Identifier: MIT
#pragma once
#include <array>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/json/json_field.hpp"
#include "framework/fitness/formula_fitness.hpp"

namespace evictlab::evolution {

inline constexpr std::string_view fitness_protocol = "evictlab-fitness/1";

/// A suite's part in what a worker holds.
struct HeldPart {
    std::string parameters_json, hash, calibration, reconstruction; ///< Suite's; a hash, or "" where there is none
    FormulaMeasuring by;
    std::array<std::vector<std::size_t>, 2> documents{}; ///< by SearchSplit, indices into the suite's
};

/// All but the documents.
HeldPart held_part_of(const Suite& suite, FormulaMeasuring by);
Json to_json(const HeldPart& part);
/// Throws Error for what none of ours wrote.
HeldPart held_part_from(const JsonField& field);

/// How many units and heads each document has.
Json to_json(const UnitLayout& layout);
UnitLayout unit_layout_from(const JsonField& field, std::size_t documents);

/// Ascending indices as [[first, how many], ...].
Json runs_json(std::span<const std::size_t> indices);
std::vector<std::size_t> indices_from(const JsonField& field, std::size_t below);

/// Numbers to the bit; "nan", "inf" and "-inf" as texts.
Json figures_json(std::span<const double> figures);
std::vector<double> figures_from(const Json& list); ///< of thousands, for which fields would take long

std::string_view to_string(SearchSplit split);
SearchSplit search_split_from(const JsonField& field);

} // namespace evictlab::evolution
