// Scorers by names that stand in results, which others may have written.
// SPDX-License-Identifier: MIT
#pragma once
#include <optional>
#include <string_view>

#include "framework/scorers/scorer.hpp"

namespace evictlab {

/// The scorer of this label, of plugins that the host has found; nothing where they have none. It opens no file: a
/// library or a formula file is not known by its path.
std::optional<Scorer> known_scorer(std::string_view label, const PluginHost& host);

} // namespace evictlab
