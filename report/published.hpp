// Which rows are published methods: what a new scorer is compared with.
// SPDX-License-Identifier: MIT
#pragma once
#include <string_view>

#include "framework/bench/scorecard.hpp"

namespace evictlab::report {

/// Whether a row is a published method as it was published: a built-in plugin of one with no parameter changed by hand,
/// or a published wrapper over one, as `adakv(snapkv@kvpress)`. On synthetic traces (protocol `rescore`) these are the
/// six that the seed compared with; under the other protocols those of docs/methods.md, without the seed's renderings.
bool is_published(const ScorecardRow& row, std::string_view protocol);
/// The same of a plugin's row by its name alone, as Scorer::label() has it.
bool is_published_name(std::string_view name, std::string_view protocol);

} // namespace evictlab::report
