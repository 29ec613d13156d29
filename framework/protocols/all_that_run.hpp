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
/// Scorers that it would run if a captured suite had what lies beside others.
struct LackingScorers {
    std::vector<std::string> labels; ///< as typed
    std::string why;                 ///< "the suite has no calibration"
    std::string remedy;              ///< a sentence
};
/// Those that lack a calibration, or one of all layers, and those that lack second passes; none of either is no entry.
std::vector<LackingScorers> left_out_of_all(PluginHost& host, const Suite& suite, std::string_view protocol);

} // namespace evictlab
