// A search whose documents are held by other processes. SPDX-License-Identifier: MIT
#pragma once
#include <memory>

#include "evolution/external/fitness_workers.hpp"
#include "evolution/search.hpp"

namespace evictlab::evolution {

/// Processes that hold the suites' documents among them. Throws OptionError where there are more of them than
/// documents, or the run tunes a plugin; else as FitnessWorkers does.
std::unique_ptr<FitnessWorkers> fitness_workers_for(const SearchSuites& search, const RunConfig& config,
                                                    FitnessWorkerOptions options);

/// As fitness_for(), but `workers` hold the documents, and this process none, unless they are null.
std::unique_ptr<Fitness> fitness_for(const SearchSuites& search, const RunConfig& config, const std::atomic<bool>* stop,
                                     const FitnessWorkers* workers);

} // namespace evictlab::evolution
