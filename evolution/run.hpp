// An evolution run: generation after generation until a limit or a stop, each saved before the next begins. A run that
// was stopped, killed or cut from power goes on to the same bits as one that never was. SPDX-License-Identifier: MIT
#pragma once
#include <atomic>
#include <functional>
#include <span>

#include "evolution/generation.hpp"
#include "evolution/run_figures.hpp"
#include "evolution/run_state.hpp"
#include "evolution/saved_run.hpp"
#include "evolution/setup.hpp"
#include "framework/fitness/fitness.hpp"
#include "state/store.hpp"

namespace evictlab::evolution {

/// After each saved generation.
struct RunProgress {
    std::uint32_t generation = 0;
    double best_train = 0;                   ///< in the population
    double start_train = 0, start_valid = 0; ///< of what the run began from
    double champion_train = 0, champion_valid = 0;
    std::optional<double> champion_kl; ///< inside the model, on valid; where the run has a judge
    std::string champion;              ///< its formula, or scorer
    bool tunes = false;                ///< makes parameter sets, and no formulas
    bool new_champion = false;
    std::string proposer_failure; ///< why the proposer had no part in this generation; "" where it had
    std::uint64_t evaluations = 0;
    double evaluations_a_second = 0; ///< of this invocation
    Shares shares;
    std::span<const HistoryLine> history; ///< until the callback returns
    std::size_t archive = 0;              ///< formulas in it
    double seconds = 0;                   ///< of this invocation
    double fraction = 0; ///< of this invocation's way to the nearest limit, for a progress bar; 0 where there is none
};

struct RunHooks {
    /// On the calling thread, also for the saved generation that a run goes on from; may be empty.
    std::function<void(const RunProgress&)> on_generation;
    const std::atomic<bool>* stop = nullptr; ///< set from outside: the generation in flight is abandoned at once
};

struct RunResult {
    RunState state;       ///< as saved
    bool stopped = false; ///< by the stop flag, and not at a limit
    std::string lost;     ///< why the judge was lost, where that stopped the run; the last generation is saved
    std::string hindered; ///< why a plugin could not be asked, though by no doing of its own; likewise
};

/// Starts a run in a new store, or goes on with what a resumed one holds. Threads are TBB's: bound them with
/// tbb::global_control. Throws UsageError (setup), Error (a saved run that this setup does not go on with) or
/// state::StateError; the last saved generation is intact.
/// A judge that is lost stops the run after the last finished generation, and so do outside events that keep a plugin
/// from answering; those before the first generation are thrown (PluginError).
/// `resumed` is what the store holds, where the caller has read it and called check_resumable() already.
RunResult run_evolution(const RunSetup& setup, const Fitness& fitness, state::RunStore& store,
                        const RunHooks& hooks = {}, const External& external = {},
                        std::optional<SavedRun> resumed = std::nullopt);

} // namespace evictlab::evolution
