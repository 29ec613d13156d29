// What `all` means on a suite.
// SPDX-License-Identifier: MIT
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "framework/cut/shape.hpp"
#include "framework/scorers/scorer.hpp"
#include "framework/suite/suite.hpp"

namespace evictlab {

/// Every scorer of the host's plugins that the protocol can run there at the shape.
std::vector<Scorer> all_that_run(PluginHost& host, const Suite& suite, std::string_view protocol,
                                 const Shape& shape = {});
/// Those that it would run if the captured suite had a calibration, or one of all its layers: as typed.
std::vector<std::string> all_that_lack_calibration(PluginHost& host, const Suite& suite, std::string_view protocol);

} // namespace evictlab
