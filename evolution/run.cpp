// SPDX-License-Identifier: MIT
#include "evolution/run.hpp"

#include <fmt/format.h>
#include <tbb/parallel_for.h>

#include <algorithm>
#include <chrono>

#include "base/text/quoting.hpp"
#include "evolution/model_gate.hpp"
#include "evolution/shown.hpp"
#include "framework/bench/scorecard.hpp"
#include "framework/fitness/units.hpp"

namespace evictlab::evolution {
namespace {

using Clock = std::chrono::steady_clock;

class Run {
public:
    Run(const RunSetup& setup, const Fitness& fitness, state::RunStore& store, const RunHooks& hooks,
        const External& external, std::optional<SavedRun> resumed)
        : resumed_(std::move(resumed)), setup_(setup), fitness_(fitness), store_(store), hooks_(hooks),
          external_(external), began_(Clock::now()), stop_(hooks.stop) {}

    RunResult go() {
        bool stopped = false;
        std::string lost, hindered;
        try {
            if (store_.content().is_null())
                keep(first_generation(setup_.config, fitness_, stop_, external_));
            else
                load();
            if (setup_.limits.seconds) stop_.set_deadline(began_ + seconds_of(*setup_.limits.seconds));
            while (limit_reached().empty())
                keep(next_generation(state_, seen_, setup_.config, fitness_, stop_, external_));
        } catch (const Interrupted&) {
            stopped = stop_.asked() || !stop_.late();
            if (!stopped) save_stop_reason();
        } catch (const JudgeLost& error) {
            if (state_.champions.empty()) throw;
            lost = error.what();
            state_.stop_reason = "judge: " + lost;
            save({});
        } catch (const FitnessLost& error) {
            if (state_.champions.empty()) throw;
            state_.stop_reason = "fitness: a worker was lost"; // why names commands of this machine
            save({});
            throw FitnessLost(fmt::format(
                "{}; generation {} is saved in {}. See to it that the worker can run, then resume, with other "
                "workers or none if you like",
                error.what(), state_.generation, text::shell_quoted(store_.file().string())));
        } catch (const PluginError& error) {
            if (error.blame != Blame::outside || state_.champions.empty()) throw;
            hindered = error.what();
            state_.stop_reason = "plugin: no answer, for reasons outside of it"; // which name files of this machine
            save({});
        }
        return {std::move(state_), stopped, std::move(lost), std::move(hindered)};
    }

private:
    static Clock::duration seconds_of(double seconds) {
        // A limit of years is no limit; a larger count would overflow the clock.
        return std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(std::min(seconds, 1e8)));
    }
    double elapsed() const { return std::chrono::duration<double>(Clock::now() - began_).count(); }

    void load() {
        const std::string file = store_.file().string();
        const JsonField content(store_.content(), file);
        if (!resumed_) {
            check_resumable(store_.content(), setup_, fitness_.retentions());
            resumed_ = saved_run(content);
        }
        state_ = std::move(resumed_->state);
        check_can_go_on(content, setup_, state_, fitness_);
        NamedCandidates named(state_);
        seconds_before_ = state_.seconds;
        evaluations_before_ = state_.counters.evaluations;
        generation_before_ = state_.generation;
        store_.read_journal([&](const Json& line) {
            const JsonField candidate(line, file, "journal");
            std::optional<std::uint64_t> kept;
            if (const auto of_kept = candidate.member_unless_null("kept_hash")) kept = hash_from_json(*of_kept);
            const std::uint64_t hash = hash_from_json(candidate.member("hash"));
            seen_.add(hash, kept, candidate.member("nodes").whole<std::size_t>());
            named.found(candidate.member("id").text(), hash, candidate.member("generation").whole<std::uint32_t>());
        });
        named.check(content, state_);
        report({}, false);
    }

    /// Makes a finished generation the run's state and saves it.
    void keep(Generation generation) {
        state_ = std::move(generation.state);
        for (const Candidate& candidate : generation.candidates) seen_.add(candidate);
        state_.stop_reason = limit_reached();
        std::vector<std::string> lines(generation.candidates.size());
        tbb::parallel_for(std::size_t{0}, lines.size(),
                          [&](std::size_t i) { lines[i] = to_json(generation.candidates[i]).dump(); });
        save(lines);
        report(std::move(generation.proposer_failure), state_.last_champion_generation == state_.generation);
    }

    void save(std::span<const std::string> journal_lines) {
        state_.seconds = seconds_before_ + elapsed();
        Json content = to_json(setup_, fitness_.retentions());
        write_state(state_, content);
        store_.save(std::move(content), journal_lines);
    }

    /// Why to stop here; "" where there is no reason. Depends on the state alone.
    std::string limit_reached() const {
        const RunLimits& limits = setup_.limits;
        const double valid = state_.champion().valid->average;
        const std::uint32_t waited = state_.generation - state_.last_champion_generation;
        if (limits.target && valid <= *limits.target)
            return fmt::format("target: the champion's valid error {:.6f} is at most {}", valid, *limits.target);
        if (limits.generations && state_.generation >= *limits.generations)
            return fmt::format("generations: {} were made", state_.generation);
        if (limits.evaluations && state_.counters.evaluations >= *limits.evaluations)
            return fmt::format("evaluations: {} of at least {} were made", state_.counters.evaluations,
                               *limits.evaluations);
        if (const auto sets = setup_.config.space ? setup_.config.space->size() : std::nullopt;
            sets && state_.counters.candidates >= *sets)
            return fmt::format("exhausted: all {} settings of the parameters were tried", *sets);
        if (limits.patience && waited >= *limits.patience)
            return fmt::format("patience: no new champion in {} generations", waited);
        return "";
    }

    void save_stop_reason() {
        const bool got_on = state_.generation > generation_before_;
        state_.stop_reason = fmt::format("seconds: {} have passed{}", *setup_.limits.seconds,
                                         got_on ? "" : ", before a generation was finished: give more");
        save({});
    }

    double fraction(double now) const {
        const Pace pace{now, state_.generation - generation_before_, state_.counters.evaluations - evaluations_before_};
        const auto left = seconds_left(setup_.limits, state_, pace, now);
        return left ? now / std::max(1e-9, now + *left) : 0;
    }

    void report(std::string proposer_failure, bool new_champion) const {
        if (!hooks_.on_generation) return;
        const Counters& counters = state_.counters;
        RunProgress progress;
        progress.generation = state_.generation;
        progress.best_train = state_.history.back().best_train;
        progress.start_train = state_.champions.front().train.average;
        progress.start_valid = state_.champions.front().valid->average;
        progress.champion_train = state_.champion().train.average;
        progress.champion_valid = state_.champion().valid->average;
        if (const auto& verdict = state_.champion().verdict; verdict && verdict->valid)
            progress.champion_kl = verdict->valid->average;
        progress.champion = shown_text(state_.champion().genome);
        progress.tunes = setup_.config.tunes;
        progress.new_champion = new_champion;
        progress.proposer_failure = std::move(proposer_failure);
        progress.evaluations = counters.evaluations;
        progress.seconds = elapsed();
        progress.evaluations_a_second =
            static_cast<double>(counters.evaluations - evaluations_before_) / std::max(1e-9, progress.seconds);
        progress.shares = shares_of(counters);
        progress.history = state_.history;
        progress.archive = state_.archive.size();
        progress.fraction = fraction(progress.seconds);
        hooks_.on_generation(progress);
    }

    std::optional<SavedRun> resumed_; ///< whose state is gone once it was loaded
    const RunSetup& setup_;
    const Fitness& fitness_;
    state::RunStore& store_;
    const RunHooks& hooks_;
    const External& external_;
    Clock::time_point began_;
    StopSignal stop_;
    RunState state_;
    Seen seen_;
    double seconds_before_ = 0;
    std::uint64_t evaluations_before_ = 0;
    std::uint32_t generation_before_ = 0;
};

} // namespace

RunResult run_evolution(const RunSetup& setup, const Fitness& fitness, state::RunStore& store, const RunHooks& hooks,
                        const External& external, std::optional<SavedRun> resumed) {
    check_setup(setup);
    if (fitness.retentions().size() > most_retentions)
        throw UsageError(fmt::format("{} retentions are more than the {} that a run may have",
                                     fitness.retentions().size(), most_retentions));
    return Run(setup, fitness, store, hooks, external, std::move(resumed)).go();
}

} // namespace evictlab::evolution
