// SPDX-License-Identifier: MIT
#include "evolution/breeding.hpp"

#include <fmt/format.h>
#include <tbb/parallel_for.h>

#include <algorithm>

#include "evolution/column_choice.hpp"
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
    const Seen& tried;
    const RunConfig& config;
    const Fitness& fitness;
    Parents parents;
    std::uint32_t generation;
    std::vector<ColumnId> columns;
    std::vector<double> weights;

    Nursery(const RunState& before, const Seen& seen_before, const RunConfig& run_config, const Fitness& run_fitness)
        : state(before), tried(seen_before), config(run_config), fitness(run_fitness), parents(before, run_config),
          generation(before.generation + 1) {
        for (const auto& name : config.columns) columns.push_back(columns::intern(name));
        if (config.space)
            for (const auto& each : parameter_operators()) weights.push_back(each.weight);
        else
            for (const auto& each : operators()) weights.push_back(each.weight);
    }
    bool seen(const Candidate& candidate) const { return tried.hashes.contains(candidate.genome.hash()); }
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
    bred.parent = {best.train.average, best.genome.size()};
}

std::optional<Bred> vary_formula(const Nursery& nursery, std::uint32_t slot, Rng& rng) {
    const Operator& chosen = operators()[rng.weighted(nursery.weights)];
    const ParentMembers parents = choose_parents(nursery, slot, chosen.mating, rng);
    std::vector<const formula::Formula*> formulas;
    formulas.reserve(parents.size());
    for (const Member* parent : parents) formulas.push_back(&parent->genome.formula());

    Offspring offspring = chosen.make(formulas, rng, {nursery.columns, nursery.config.max_nodes});
    if (offspring.formula.empty() || offspring.formula.size() > 4 * nursery.config.max_nodes) return {};
    Genome genome = Genome::canonical(with_tidy_constants(offspring.formula));
    if (genome.size() > nursery.config.max_nodes || !ranks_tokens(genome.formula())) return {};
    if (!not_readable(genome.formula(), nursery.config).empty()) return {};
    Bred bred = new_bred(nursery, slot, new_candidate(nursery.generation, slot, std::move(genome)));
    credit(bred, chosen.name, std::move(offspring.hypothesis), parents);
    if (skeleton_of(bred.candidate.genome) == parents[0]->skeleton) bred.tunings = parents[0]->tunings;
    return bred;
}

std::optional<Bred> vary_parameters(const Nursery& nursery, std::uint32_t slot, Rng& rng) {
    const ParameterOperator& chosen = parameter_operators()[rng.weighted(nursery.weights)];
    const ParentMembers parents = choose_parents(nursery, slot, chosen.mating, rng);
    std::vector<const std::vector<double>*> sets;
    for (const Member* parent : parents) sets.push_back(&parent->genome.parameters()->values);
    ParameterOffspring offspring = chosen.make(sets, rng, *nursery.config.space);
    if (offspring.values.empty()) return {};
    Genome genome = Genome::parameters_of(*nursery.config.space, offspring.values);
    Bred bred = new_bred(nursery, slot, new_candidate(nursery.generation, slot, std::move(genome)));
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
        if (nursery.seen(candidate)) {
            ++result.duplicates;
            continue;
        }
        candidate.kept_hash = kept_hash_of(candidate.genome, nursery.config, nursery.fitness);
        if (candidate.kept_hash && nursery.tried.keeps_as(*candidate.kept_hash, candidate.genome.size())) {
            ++result.semantic_duplicates;
            continue;
        }
        result.bred = std::move(bred);
        break;
    }
    return result;
}

/// With what breeding makes where the run may not read what the strategy does.
SlotResult open_slot(const Nursery& nursery, std::uint32_t slot) {
    const OpeningStrategy& strategy = opening_strategies()[slot];
    const Member& start = nursery.state.population.front();
    Genome genome = Genome::canonical(formula::parse(strategy.formula));
    if (!not_readable(genome.formula(), nursery.config).empty()) return fill_slot(nursery, slot);
    Bred bred = new_bred(nursery, slot, new_candidate(nursery.generation, slot, std::move(genome)));
    credit(bred, strategy.name, std::string(strategy.hypothesis), {&start});
    if (nursery.seen(bred.candidate)) return {std::nullopt, 1, 0};
    bred.candidate.kept_hash = kept_hash_of(bred.candidate.genome, nursery.config, nursery.fitness);
    return {std::move(bred), 0, 0};
}

} // namespace

bool ranks_tokens(const formula::Formula& formula) {
    return std::any_of(formula.nodes().begin(), formula.nodes().end(), [](const formula::Node& node) {
        return node.op == formula::Op::column && columns::kind(node.column) == ColumnKind::token;
    });
}

Candidate new_candidate(std::uint32_t generation, std::uint32_t slot, Genome genome) {
    Candidate candidate;
    candidate.id = fmt::format("g{}-s{}", generation, slot);
    candidate.generation = generation;
    candidate.slot = slot;
    candidate.genome = std::move(genome);
    return candidate;
}

std::optional<std::uint64_t> kept_hash_of(const Genome& genome, const RunConfig& config, const Fitness& fitness) {
    return config.semantic_duplicates ? fitness.kept_hash(genome.job()) : std::nullopt;
}

Brood breed(const RunState& state, const Seen& seen, const RunConfig& config, const Fitness& fitness) {
    const Nursery nursery(state, seen, config, fitness);
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
        const std::uint64_t hash = candidate.genome.hash();
        const std::size_t nodes = candidate.genome.size();
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
