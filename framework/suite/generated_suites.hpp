// The seed's two benchmarks: synthetic patterns, generated (docs/benchmark.md). SPDX-License-Identifier: MIT
#pragma once
#include "framework/suite/suite.hpp"

namespace evictlab {

Suite make_micro(const SuiteOptions& options);
/// OptionError for a size or a seed: it has one.
Suite make_full(const SuiteOptions& options);
/// The first option that suite `micro` alone takes among those that are set; "" where none is.
std::string option_of_micro(const SuiteOptions& options);

} // namespace evictlab
