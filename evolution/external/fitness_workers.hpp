// The search's side of protocol evictlab-fitness/1: processes, here or on other machines, that hold a suite's documents
// among them, so that a suite need not fit into one machine's memory. SPDX-License-Identifier: MIT
#pragma once
#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "evolution/external/fitness_protocol.hpp"
#include "framework/suite/suite.hpp"

namespace evictlab::evolution {

struct FitnessWorkerOptions {
    std::vector<std::string> commands;       ///< for sh -c, one a worker
    std::string version;                     ///< of this program, which theirs must be
    std::chrono::milliseconds timeout;       ///< of silence while something is asked, or at the start
    const std::atomic<bool>* stop = nullptr; ///< may be null
    std::function<void(std::string)>
        tell{}; ///< that a worker was lost and is started again; one at a time; may be empty
    std::chrono::milliseconds first_rest{1000}; ///< before that; twice as long at each further time in a row
};

/// Units of several suites, each worker's a run of consecutive documents of each split. A worker that is lost is
/// started again, holds what it held and is asked again what was open: five times in a row, without an answer between
/// them, at most; then everything throws FitnessLost.
class FitnessWorkers {
public:
    /// Starts all, and waits until they hold their documents. Throws Error where one does not work or differs from this
    /// program or machine, or Interrupted.
    FitnessWorkers(FitnessWorkerOptions options, const std::vector<Suite>& suites,
                   const std::vector<FormulaMeasuring>& measuring);
    /// Of one of the suites, by index. It keeps the processes alive.
    std::shared_ptr<const UnitsElsewhere> units_of(std::size_t suite) const;

private:
    class Crew;
    class SuiteUnits;
    std::shared_ptr<Crew> crew_;
    std::vector<std::vector<HeldPart>> parts_; ///< [suite][worker]
    std::vector<std::size_t> retentions_;      ///< of each suite
};

/// Which worker holds each document, in runs that are about equal in work; [document], ascending.
std::vector<std::size_t> dealt_in_runs(const std::vector<double>& work, std::size_t workers);

} // namespace evictlab::evolution
