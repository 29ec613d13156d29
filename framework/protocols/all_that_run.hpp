// What `all` means on a suite.
// SPDX-License-Identifier: MIT
#pragma once
#include <string_view>
#include <vector>

#include "framework/scorers/scorer.hpp"
#include "framework/suite/suite.hpp"

namespace evictlab {

/// Every scorer of the host's plugins that the protocol can run there.
std::vector<Scorer> all_that_run(PluginHost& host, const Suite& suite, std::string_view protocol);

} // namespace evictlab
