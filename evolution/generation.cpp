// SPDX-License-Identifier: MIT
#include "evolution/generation.hpp"

#include <fmt/format.h>
#include <tbb/parallel_for.h>

#include <algorithm>

#include "evolution/archive.hpp"
#include "evolution/breeding.hpp"
#include "evolution/islands.hpp"
#include "evolution/member_tuning.hpp"
#include "evolution/model_gate.hpp"
#include "evolution/model_tuning.hpp"
#include "evolution/proposed.hpp"
#include "evolution/race.hpp"

namespace evictlab::evolution {
namespace {

/// What the work on one generation shares.
struct Workbench {
    const RunConfig& config;
    const Fitness& fitness;
    const StopSignal& stop;
    const External& external;
    double node_price = 0; ///< in error

    std::vector<FormulaErrors> measure(SearchSplit split, std::span<Candidate* const> candidates) const {
        std::vector<Genome> all;
        for (const Candidate* candidate : candidates) all.push_back(candidate->genome);
        return evaluate_all(fitness, split, all, stop);
    }
    void select(RunState& state) const {
        const SurvivalRule rule{config.population, node_price, std::max<std::size_t>(2, config.population / 40)};
        state.population = survivors_of_islands(std::move(state.population), rule, config.islands);
    }
};

/// Its errors by document are kept where selection looks at them.
Member member_of(const Bred& bred, const RunConfig& config) {
    const Candidate& candidate = bred.candidate;
    Member member{candidate.id,
                  candidate.genome,
                  candidate.train,
                  candidate.status != Status::rejected,
                  bred.tunings,
                  bred.island,
                  skeleton_of(candidate.genome)};
    if (config.parents != ParentSelection::lexicase) member.train.by_document.clear();
    return member;
}

std::string refusal_reason(const std::string& failure) {
    return fmt::format("these parameters cannot be measured: {}", failure);
}

/// Measures new candidates on train, as far as they stay in the race against their island's rival, and those that pass
/// the first gate on valid. `judged` is the champion that a judge chose, null without one.
void pass_gates(const Workbench& work, std::span<Bred> brood, const Rivals* rivals, const Candidate* judged) {
    std::vector<Genome> all;
    std::vector<const Rival*> rival;
    for (const Bred& bred : brood) {
        all.push_back(bred.candidate.genome);
        rival.push_back(rivals ? rivals->of_island(bred.island) : nullptr);
    }
    auto train = race_all(work.fitness, all, rival, work.stop);
    std::vector<Candidate*> passed;
    for (std::size_t i = 0; i < brood.size(); ++i) {
        Candidate& candidate = brood[i].candidate;
        candidate.train = std::move(train[i].errors);
        candidate.reason = std::move(train[i].why);
        if (!candidate.train.failure.empty()) candidate.reason = refusal_reason(candidate.train.failure);
        if (!candidate.reason.empty()) continue;
        GateResult result = gate_train(candidate, brood[i].parent, work.node_price);
        if (!result.passed && judged) result = gate_nearness(candidate, *judged);
        candidate.reason = std::move(result.reason);
        candidate.status = result.passed ? Status::accepted : Status::rejected;
        if (result.passed) passed.push_back(&candidate);
    }
    auto valid = work.measure(SearchSplit::valid, passed);
    for (std::size_t i = 0; i < passed.size(); ++i) {
        if (valid[i].failure.empty()) {
            passed[i]->valid = std::move(valid[i]);
            continue;
        }
        passed[i]->reason += "; on valid " + refusal_reason(valid[i].failure);
        passed[i]->status = Status::rejected;
    }
}

/// The second gate, in slot order: each against the champion that those before it left. A judge's gate comes later, and
/// for the best alone (ModelGate).
void promote(RunState& state, std::span<Bred> brood, bool judged) {
    for (Bred& bred : brood) {
        Candidate& candidate = bred.candidate;
        if (candidate.status == Status::rejected) continue;
        ++state.counters.accepted;
        if (judged) continue;
        const GateResult result = gate_promotion(candidate, state.champion());
        candidate.reason += "; " + result.reason;
        if (!result.passed) continue;
        candidate.status = Status::champion;
        state.champions.push_back(candidate);
        state.last_champion_generation = candidate.generation;
    }
}

/// Candidates that have passed the gates join the population, the journal and the counts.
void admit(const Workbench& work, Generation& generation, std::vector<Bred> brood) {
    RunState& state = generation.state;
    promote(state, brood, work.external.judge != nullptr);
    state.counters.candidates += brood.size();
    const std::size_t before = state.population.size();
    for (const Bred& bred : brood) {
        if (!bred.candidate.train.failure.empty()) {
            ++state.counters.refused;
            --state.counters.evaluations; // was counted with the others
        } else if (bred.candidate.train.by_retention.empty()) {
            ++state.counters.raced_out;
        } else {
            state.population.push_back(member_of(bred, work.config));
        }
    }
    if (work.config.archive > 0) offer_to_archive(state.archive, std::span(state.population).subspan(before));
    work.select(state);
    for (Bred& bred : brood) {
        if (bred.candidate.status == Status::rejected) bred.candidate.train.by_document.clear(); // the journal is large
        generation.candidates.push_back(std::move(bred.candidate));
    }
}

/// Tunes the best structures; each result is a candidate in a slot behind the offspring's.
void tune_best(const Workbench& work, Generation& generation, const Seen& seen) {
    RunState& state = generation.state;
    const auto chosen = structures_to_tune(state, work.config);
    std::vector<TuningResult> results(chosen.size());
    tbb::parallel_for(
        std::size_t{0}, chosen.size(),
        [&](std::size_t i) {
            const auto slot = static_cast<std::uint32_t>(work.config.population + i);
            results[i] = tune(state.population[chosen[i]], work.config, work.fitness, work.stop,
                              Rng(work.config.seed, state.generation, slot, Purpose::tuning));
        },
        tbb::simple_partitioner{});

    std::unordered_set<std::uint64_t> fresh;
    for (const Candidate& candidate : generation.candidates) fresh.insert(candidate.genome.hash());
    std::vector<Bred> tuned;
    for (std::size_t i = 0; i < chosen.size(); ++i) {
        Member& parent = state.population[chosen[i]];
        ++parent.tunings;
        state.counters.evaluations += results[i].evaluations;
        if (!(results[i].error < parent.train.average)) continue;
        const auto slot = static_cast<std::uint32_t>(work.config.population + i);
        Bred bred{tuned_candidate(parent, results[i], work.config, state.generation, slot),
                  {parent.train.average, parent.genome.size()},
                  parent.tunings,
                  parent.island};
        const std::uint64_t hash = bred.candidate.genome.hash();
        if (seen.hashes.contains(hash) || !fresh.insert(hash).second) {
            ++state.counters.duplicates;
            continue;
        }
        bred.candidate.kept_hash = kept_hash_of(bred.candidate.genome, work.config, work.fitness);
        tuned.push_back(std::move(bred));
    }
    pass_gates(work, tuned, nullptr, work.external.judge ? &state.champion() : nullptr);
    state.counters.evaluations += tuned.size();
    admit(work, generation, std::move(tuned));
}

/// Tunes the champion inside the model. The result is a candidate in a slot behind all others, and judged on valid.
void tune_champion(const Workbench& work, Generation& generation, const Seen& seen, ModelGate& gate) {
    RunState& state = generation.state;
    const Member champion = member_of({state.champion(), {}, 0, 0}, work.config);
    if (tunable(champion.genome, work.config).empty()) return;
    const std::uint32_t slot = work.config.population + work.config.tuned;
    std::optional<Candidate> tuned = tune_in_model(champion, state.champion().verdict->train, work.config, gate,
                                                   state.generation, slot, state.counters.evaluations);
    if (!tuned || seen.hashes.contains(tuned->genome.hash())) return;
    Candidate* const candidate = &*tuned;
    tuned->kept_hash = kept_hash_of(tuned->genome, work.config, work.fitness);
    tuned->train = std::move(work.measure(SearchSplit::train, {&candidate, 1}).front());
    tuned->valid = std::move(work.measure(SearchSplit::valid, {&candidate, 1}).front());
    if (!tuned->train.failure.empty() || !tuned->valid->failure.empty()) return; // the judge has no other rules
    tuned->status = Status::accepted;
    tuned->reason = fmt::format("better than the champion inside the model; train {:.6f} against its {:.6f}",
                                tuned->train.average, champion.train.average);
    ++state.counters.evaluations;
    std::vector<Bred> brood;
    brood.push_back({std::move(*tuned), {}, 1, 0});
    admit(work, generation, std::move(brood));
    gate.judge(state, generation.candidates.back());
}

void add_history(RunState& state) {
    double best = state.population.front().train.average;
    for (const Member& member : state.population) best = std::min(best, member.train.average);
    state.history.push_back({state.generation, best, state.champion().train.average, state.champion().valid->average,
                             state.counters.evaluations});
    if (state.history.size() > history_limit) state.history.erase(state.history.begin());
}

RunState successor_of(const RunState& before) {
    RunState state = before;
    ++state.generation;
    state.proposal_outcomes.clear();
    state.stop_reason.clear();
    return state;
}

} // namespace

Generation first_generation(const RunConfig& config, const Fitness& fitness, const StopSignal& stop,
                            const External& external) {
    const Workbench work{config, fitness, stop, external, 0};
    Bred start{new_candidate(0, 0,
                             config.space ? Genome::parameters_of(*config.space, config.space->start())
                                          : Genome::canonical(config.start_formula)),
               {},
               0,
               0};
    Candidate* const candidate = &start.candidate;
    candidate->kept_hash = kept_hash_of(candidate->genome, config, fitness);
    candidate->op = "start";
    candidate->hypothesis = fmt::format("what the run begins from: {}", config.start);
    candidate->train = std::move(work.measure(SearchSplit::train, {&candidate, 1}).front());
    candidate->valid = std::move(work.measure(SearchSplit::valid, {&candidate, 1}).front());
    for (const std::string& failure : {candidate->train.failure, candidate->valid->failure})
        if (!failure.empty())
            throw Error(fmt::format("the run cannot begin from {}: {}; name it with other values of its parameters",
                                    config.start, failure));
    if (external.judge) ModelGate(*external.judge, stop).judge_start(*candidate);
    candidate->status = Status::champion;
    candidate->reason = "the first champion";
    Generation generation;
    RunState& state = generation.state;
    state.counters = {1, 1, 0, 1, 0, 0};
    for (; start.island < config.islands; ++start.island) state.population.push_back(member_of(start, config));
    if (config.archive > 0) offer_to_archive(state.archive, std::span(state.population).first(1));
    state.champions.push_back(*candidate);
    add_history(state);
    generation.candidates.push_back(std::move(*candidate));
    return generation;
}

Generation next_generation(const RunState& before, const Seen& seen, const RunConfig& config, const Fitness& fitness,
                           const StopSignal& stop, const External& external) {
    const Workbench work{config, fitness, stop, external, config.node_price * before.champions.front().train.average};
    Brood brood = breed(before, seen, config, fitness);
    Generation generation{successor_of(before), {}};
    Proposed proposed;
    if (external.proposer) proposed = proposals_for(before, seen, config, external, stop);
    std::ranges::move(proposed.bred, std::back_inserter(brood.bred));
    generation.state.counters.duplicates += brood.duplicates + proposed.duplicates;
    generation.state.counters.semantic_duplicates += brood.semantic_duplicates;
    generation.state.counters.evaluations += brood.bred.size();
    const Rivals rivals(before, config, fitness);
    pass_gates(work, brood.bred, &rivals, external.judge ? &before.champion() : nullptr);
    admit(work, generation, std::move(brood.bred));
    tune_best(work, generation, seen);
    if (config.islands > 1 && generation.state.generation % config.migration == 0) {
        migrate(generation.state.population, config.islands);
        work.select(generation.state);
    }
    if (external.judge) {
        ModelGate gate(*external.judge, stop);
        gate.judge(generation.state, generation.candidates, config.asked_of_model);
        if (config.verdict_tuning > 0) tune_champion(work, generation, seen, gate);
    }
    generation.proposer_failure = std::move(proposed.failure);
    generation.state.proposal_outcomes = outcomes_of(generation.candidates, std::move(proposed.refused));
    add_history(generation.state);
    return generation;
}

} // namespace evictlab::evolution
