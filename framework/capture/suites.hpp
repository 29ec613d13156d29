// Suites by name: the generated ones, and those that were captured from a model. SPDX-License-Identifier: MIT
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "framework/suite/suite.hpp"

namespace evictlab {

/// `name` is micro, full, a shipped captured suite, or the path of a folder with a suite.json. Throws UsageError for an
/// unknown name (listing the known ones) or an option that the suite does not take.
Suite make_suite(std::string_view name, const SuiteOptions& options = {});
/// From what parameters_json() gave; a captured suite may have moved to where its name finds it. Throws Error where
/// there is none.
Suite make_suite_from_parameters(std::string_view parameters_json);
bool is_synthetic_suite(std::string_view name);
std::vector<std::string> suite_names(); ///< the synthetic ones, then captured ones that are found by name

} // namespace evictlab
