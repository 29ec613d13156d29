// What a person meant whose scorer has its signs in the wrong places: `h2o:clamp=1:window=64`, `h2o;knorm`.
// SPDX-License-Identifier: MIT
#pragma once
#include <optional>
#include <string>

#include "framework/plugin/host.hpp"
#include "framework/scorers/name.hpp"

namespace evictlab {

/// The same id, preset, parameters and base with the signs that belong between them. Nothing where the name has them,
/// where its id is no plugin's, or where there is more in it than that.
std::optional<ScorerName> respelt(const ScorerName& name, const PluginHost& host);

/// `h2o,knorm` where blanks or semicolons stand between scorers that there are.
std::optional<std::string> respelt_list(const ScorerName& name, const PluginHost& host);

} // namespace evictlab
