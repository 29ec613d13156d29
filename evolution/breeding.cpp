// SPDX-License-Identifier: MIT
#include "evolution/breeding.hpp"

#include <fmt/format.h>
#include <tbb/parallel_for.h>

#include <algorithm>

#include "base/digest/digest.hpp"
#include "evolution/islands.hpp"
#include "evolution/parents.hpp"
#include "evolution/variation/expression.hpp"
#include "evolution/variation/operator.hpp"
#include "evolution/variation/parameters.hpp"

namespace evictlab::evolution {
namespace {

constexpr int tries_a_slot = 8;

/// What all slots share.
struct Nursery {
    const RunState& state;
    const RunConfig& config;
    const Fitness& fitness;
    Parents parents;
    std::uint32_t generation;
    std::vector<ColumnId> columns;
    std::vector<double> weights;

    Nursery(const RunState& before, const RunConfig& run_config, const Fitness& run_fitness)
        : state(before), config(run_config), fitness(run_fitness), parents(before, run_config),
          generation(before.generation + 1) {
        for (const auto& name : config.columns) columns.push_back(columns::intern(name));
        if (config.space)
            for (const auto& each : parameter_operators()) weights.push_back(each.weight);
        else
            for (const auto& each : operators()) weights.push_back(each.weight);
    }
    bool seen(const std::string& hash) const { return state.seen.hashes.contains(hash_number(hash)); }
};

/// Folding makes constants of many digits out of tidy ones.
formula::Formula with_tidy_constants(const formula::Formula& formula) {
    const formula::Formula folded = canonical(formula);
    std::vector<double> constants = folded.constants();
    for (double& value : constants) value = tidy(value);
    return folded.with_constants(constants);
}

struct SlotResult {
    std::optional<Bred> bred;
    std::uint64_t duplicates = 0, semantic_duplicates = 0;
};

Bred new_bred(const Nursery& nursery, std::uint32_t slot, Candidate candidate) {
    return {std::move(candidate), {}, 0, island_of_slot(slot, nursery.config.islands)};
}

using ParentMembers = std::vector<const Member*>;

ParentMembers choose_parents(const Nursery& nursery, std::uint32_t slot, Mating mating, Rng& rng) {
    ParentMembers parents{&nursery.parents.choose(slot, mating, rng)};
    if (mating != Mating::one) parents.push_back(&nursery.parents.choose(slot, mating, rng));
    return parents;
}

/// Says who made it and why, and what it must beat.
void credit(Bred& bred, std::string_view op, std::string hypothesis, const ParentMembers& parents) {
    bred.candidate.op = op;
    bred.candidate.hypothesis = std::move(hypothesis);
    for (const Member* parent : parents) bred.candidate.parents.push_back(parent->id);
    const Member& best = **std::min_element(parents.begin(), parents.end(), [](const Member* a, const Member* b) {
        return a->train.average < b->train.average;
    });
    bred.parent = {best.train.average, best.size()};
}

std::optional<Bred> vary_formula(const Nursery& nursery, std::uint32_t slot, Rng& rng) {
    const Operator& chosen = operators()[rng.weighted(nursery.weights)];
    const ParentMembers parents = choose_parents(nursery, slot, chosen.mating, rng);
    std::vector<const formula::Formula*> formulas;
    formulas.reserve(parents.size());
    for (const Member* parent : parents) formulas.push_back(&parent->formula);

    Offspring offspring = chosen.make(formulas, rng, {nursery.columns, nursery.config.max_nodes});
    if (offspring.formula.empty() || offspring.formula.size() > 4 * nursery.config.max_nodes) return {};
    Bred bred =
        new_bred(nursery, slot, new_candidate(nursery.generation, slot, with_tidy_constants(offspring.formula)));
    const formula::Formula& formula = bred.candidate.formula;
    if (formula.size() > nursery.config.max_nodes || !ranks_tokens(formula)) return {};
    credit(bred, chosen.name, std::move(offspring.hypothesis), parents);
    if (skeleton_of(formula) == parents[0]->skeleton) bred.tunings = parents[0]->tunings;
    return bred;
}

std::optional<Bred> vary_parameters(const Nursery& nursery, std::uint32_t slot, Rng& rng) {
    const ParameterOperator& chosen = parameter_operators()[rng.weighted(nursery.weights)];
    const ParentMembers parents = choose_parents(nursery, slot, chosen.mating, rng);
    std::vector<const std::vector<double>*> sets;
    for (const Member* parent : parents) sets.push_back(&parent->parameters->values);
    ParameterOffspring offspring = chosen.make(sets, rng, *nursery.config.space);
    if (offspring.values.empty()) return {};
    Bred bred =
        new_bred(nursery, slot, new_candidate(nursery.generation, slot, *nursery.config.space, offspring.values));
    credit(bred, chosen.name, std::move(offspring.hypothesis), parents);
    return bred;
}

SlotResult fill_slot(const Nursery& nursery, std::uint32_t slot) {
    Rng rng(nursery.config.seed, nursery.generation, slot, Purpose::variation);
    SlotResult result;
    for (int i = 0; i < tries_a_slot; ++i) {
        auto bred = nursery.config.space ? vary_parameters(nursery, slot, rng) : vary_formula(nursery, slot, rng);
        if (!bred) continue;
        Candidate& candidate = bred->candidate;
        if (nursery.seen(candidate.hash)) {
            ++result.duplicates;
            continue;
        }
        candidate.kept_hash = kept_hash_of(candidate.formula, nursery.config, nursery.fitness);
        if (candidate.kept_hash && nursery.state.seen.keeps_as(*candidate.kept_hash, candidate.size())) {
            ++result.semantic_duplicates;
            continue;
        }
        result.bred = std::move(bred);
        break;
    }
    return result;
}

SlotResult open_slot(const Nursery& nursery, std::uint32_t slot) {
    const OpeningStrategy& strategy = opening_strategies()[slot];
    const Member& start = nursery.state.population.front();
    Bred bred = new_bred(nursery, slot, new_candidate(nursery.generation, slot, formula::parse(strategy.formula)));
    credit(bred, strategy.name, std::string(strategy.hypothesis), {&start});
    if (nursery.seen(bred.candidate.hash)) return {std::nullopt, 1, 0};
    bred.candidate.kept_hash = kept_hash_of(bred.candidate.formula, nursery.config, nursery.fitness);
    return {std::move(bred), 0, 0};
}

} // namespace

std::string scorer_hash(const std::string& scorer) { return sha256_hex(scorer).substr(0, 16); }

bool ranks_tokens(const formula::Formula& formula) {
    return std::any_of(formula.nodes().begin(), formula.nodes().end(), [](const formula::Node& node) {
        return node.op == formula::Op::column && columns::kind(node.column) == ColumnKind::token;
    });
}

Candidate new_candidate(std::uint32_t generation, std::uint32_t slot, const formula::Formula& formula) {
    Candidate candidate;
    candidate.id = fmt::format("g{}-s{}", generation, slot);
    candidate.generation = generation;
    candidate.slot = slot;
    candidate.formula = canonical(formula);
    candidate.hash = canonical_hash(candidate.formula);
    return candidate;
}

Candidate new_candidate(std::uint32_t generation, std::uint32_t slot, const ParameterSpace& space,
                        std::span<const double> values) {
    Candidate candidate;
    candidate.id = fmt::format("g{}-s{}", generation, slot);
    candidate.generation = generation;
    candidate.slot = slot;
    candidate.parameters = ParameterSet{space.text(values), {values.begin(), values.end()}, space.changed(values)};
    candidate.hash = scorer_hash(candidate.parameters->scorer);
    return candidate;
}

std::optional<std::uint64_t> kept_hash_of(const formula::Formula& formula, const RunConfig& config,
                                          const Fitness& fitness) {
    if (!config.semantic_duplicates) return std::nullopt;
    const formula::Program program(formula);
    return fitness.kept_hash({&program, program.constants()});
}

Brood breed(const RunState& state, const RunConfig& config, const Fitness& fitness) {
    const Nursery nursery(state, config, fitness);
    const std::size_t opening = nursery.generation == 1 && !config.space ? opening_strategies().size() : 0;
    std::vector<SlotResult> slots(std::max<std::size_t>(config.population, opening));
    tbb::parallel_for(std::size_t{0}, slots.size(), [&](std::size_t i) {
        const auto slot = static_cast<std::uint32_t>(i);
        slots[i] = i < opening ? open_slot(nursery, slot) : fill_slot(nursery, slot);
    });
    Brood brood;
    Seen siblings;
    for (std::size_t i = 0; i < slots.size(); ++i) {
        brood.duplicates += slots[i].duplicates;
        brood.semantic_duplicates += slots[i].semantic_duplicates;
        if (!slots[i].bred) continue;
        const Candidate& candidate = slots[i].bred->candidate;
        const std::uint64_t hash = hash_number(candidate.hash);
        const std::size_t nodes = candidate.size();
        if (siblings.hashes.contains(hash)) {
            ++brood.duplicates;
        } else if (i >= opening && candidate.kept_hash && siblings.keeps_as(*candidate.kept_hash, nodes)) {
            ++brood.semantic_duplicates;
        } else {
            siblings.add(hash, candidate.kept_hash, nodes);
            brood.bred.push_back(std::move(*slots[i].bred));
        }
    }
    return brood;
}

} // namespace evictlab::evolution
