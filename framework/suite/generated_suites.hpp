// The seed's two benchmarks: synthetic patterns, generated (docs/benchmark.md). SPDX-License-Identifier: MIT
#pragma once
#include "framework/suite/suite.hpp"

namespace evictlab {

Suite make_micro(const SuiteOptions& options);
/// UsageError for a size or a seed: it has one.
Suite make_full(const SuiteOptions& options);

} // namespace evictlab
