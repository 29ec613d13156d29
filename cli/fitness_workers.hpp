// The options of evolve for documents that are held by processes of their own. SPDX-License-Identifier: MIT
#pragma once
#include <memory>

#include "cli/command.hpp"
#include "evolution/shared_search.hpp"

namespace evictlab::cli {

/// --fitness-workers, --fitness-worker, --fitness-timeout. They decide no bit of a run, so no state has them.
void add_fitness_worker_options(po::options_description& options);
/// The processes, started; null where none are asked for.
std::unique_ptr<evolution::FitnessWorkers> fitness_workers_from(const po::variables_map& values,
                                                                const evolution::SearchSuites& search,
                                                                const evolution::RunConfig& config);

} // namespace evictlab::cli
