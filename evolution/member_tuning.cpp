// SPDX-License-Identifier: MIT
#include "evolution/member_tuning.hpp"

#include <fmt/format.h>
#include <tbb/task_arena.h>

#include <algorithm>
#include <numeric>

#include "evolution/breeding.hpp"
#include "evolution/race.hpp"

namespace evictlab::evolution {
namespace {

/// What parameters that are refused count as, in train errors of what is tuned: far worse, but a number.
constexpr double refused_error = 10;

TuningResult tune_formula(const Member& member, const RunConfig& config, const Fitness& fitness, const StopSignal& stop,
                          const TuningOptions& options) {
    const FitnessJob own = member.genome.job();
    std::optional<Rival> rival; // to be of use the outcome must beat what it came from
    if (config.race && !fitness.heats().empty()) tbb::this_task_arena::isolate([&] { rival.emplace(fitness, own); });
    return tune_constants(own.constants, member.train.average, options, [&](std::span<const double> constants) {
        stop.check();
        const FitnessJob job{own.program, constants};
        double error = 0;
        // Isolated, so that waiting for this evaluation does not start another tuning on the same stack.
        tbb::this_task_arena::isolate([&] {
            error = rival ? raced_error(fitness, job, *rival, member.train.average)
                          : fitness.evaluate(SearchSplit::train, {&job, 1}).front().average;
        });
        return error;
    });
}

TuningResult tune_parameters(const Member& member, const ParameterSpace& space, const Fitness& fitness,
                             const StopSignal& stop, const TuningOptions& options) {
    const std::vector<double>& values = member.genome.parameters()->values;
    return tune_constants(space.continuous(values), member.train.average, options, [&](std::span<const double> moved) {
        stop.check();
        const std::vector<double> tried = space.with_continuous(values, moved);
        const FitnessJob job{nullptr, tried};
        FormulaErrors errors;
        tbb::this_task_arena::isolate([&] { errors = fitness.evaluate(SearchSplit::train, {&job, 1}).front(); });
        return errors.failure.empty() ? errors.average : refused_error * member.train.average;
    });
}

} // namespace

std::vector<double> tunable(const Genome& genome, const RunConfig& config) {
    return config.space ? config.space->continuous(genome.parameters()->values) : genome.formula().constants();
}

std::vector<std::size_t> structures_to_tune(const RunState& state, const RunConfig& config) {
    std::vector<std::size_t> order(state.population.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    const auto rank = [&](std::size_t i) { return i + state.population[i].tunings * (config.population / 8); };
    std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return rank(a) < rank(b); });
    std::vector<std::size_t> chosen;
    std::unordered_set<std::uint64_t> skeletons;
    for (const std::size_t i : order) {
        if (chosen.size() == config.tuned) break;
        if (tunable(state.population[i].genome, config).empty()) continue;
        if (skeletons.insert(state.population[i].skeleton).second) chosen.push_back(i);
    }
    return chosen;
}

TuningResult tune(const Member& member, const RunConfig& config, const Fitness& fitness, const StopSignal& stop,
                  Rng rng) {
    TuningOptions options;
    options.seed = rng.next();
    options.evaluations = config.tuning_evaluations * std::min(4U, 1 + member.tunings);
    options.step = rng.chance(0.3) ? 0.4 : 0.15;
    return config.space ? tune_parameters(member, *config.space, fitness, stop, options)
                        : tune_formula(member, config, fitness, stop, options);
}

Candidate tuned_candidate(const Member& member, const TuningResult& result, const RunConfig& config,
                          std::uint32_t generation, std::uint32_t slot) {
    const std::vector<double> before = tunable(member.genome, config);
    std::size_t moved = 0;
    for (std::size_t i = 0; i < before.size(); ++i) moved += before[i] != result.values[i] ? 1 : 0;
    const Genome& own = member.genome;
    Candidate candidate = new_candidate(
        generation, slot,
        config.space ? Genome::parameters_of(*config.space,
                                             config.space->with_continuous(own.parameters()->values, result.values))
                     : Genome::canonical(own.formula().with_constants(result.values)));
    candidate.op = config.space ? "tune_parameters" : "tune_constants";
    candidate.parents = {member.id};
    candidate.hypothesis =
        fmt::format("its {} were not at their best: {} of {} moved by CMA-ES in {} evaluations",
                    config.space ? "continuous parameters" : "constants", moved, before.size(), result.evaluations);
    return candidate;
}

} // namespace evictlab::evolution
