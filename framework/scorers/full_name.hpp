// What a scorer's name means where no preset is typed. SPDX-License-Identifier: MIT
#pragma once
#include <string>
#include <string_view>

#include "framework/plugin/host.hpp"
#include "framework/scorers/published.hpp"

namespace evictlab {

/// The name with the preset that is meant by each plain id in it: where published rules are compared the published one
/// (`kvpress`, else `paper`, else the plugin's first), inside wrappers too: `adakv(snapkv:window_size=16)` is
/// `adakv@kvpress(snapkv@kvpress:window_size=16)`. By the seed's rules it is the simplified preset that the plugin's
/// defaults are: `snapkv` is `snapkv@seed`. Plugins that have neither, and formulas, are what was typed.
std::string full_name(std::string_view name, ScorerRules rules, const PluginHost& host);

} // namespace evictlab
