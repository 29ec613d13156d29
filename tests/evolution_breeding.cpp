// Breeding, held to a slow rewriting of its rules that reads the same random streams: who is made in which slot, what
// is left out, and what of a candidate is filled in. SPDX-License-Identifier: MIT
#include "evolution/breeding.hpp"

#include <algorithm>
#include <cmath>
#include <set>

#include "base/digest/digest.hpp"
#include "evolution/islands.hpp"
#include "evolution/parents.hpp"
#include "evolution/variation/expression.hpp"
#include "evolution/variation/parameters.hpp"
#include "framework/plugin/host.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/made_search.hpp"

using namespace evictlab;
using namespace evictlab::evolution;
using test::KnownState;
using test::made_genome;
using test::made_member;
using test::MadeFitness;

namespace {

using Ids = std::vector<std::string>;

const char* const texts[] = {"recent_attn",
                             "0.6*recent_attn + 0.4*cumulative_attn",
                             "if(position < 4, keep, recent_attn/(relative_pos + 1))",
                             "key_norm - 0.25*recent_attn^0.5",
                             "max(0, 1 - relative_pos/128) + cumulative_attn",
                             "tanh(key_norm)*recent_attn",
                             "cumulative_attn/(position + 1)",
                             "recent_attn*layer_ratio + 0.125*attn_entropy"};

std::uint64_t number(const std::string& hash) { return std::stoull(hash, nullptr, 16); }

/// Two islands, cheapest first, half of them accepted, tuned once more each.
KnownState made_state(std::uint32_t generation) {
    KnownState state;
    state.generation = generation;
    for (std::uint32_t i = 0; i < std::size(texts); ++i) {
        state.population.push_back(made_member(texts[i], 0.1 + 0.05 * i, i % 2));
        state.population.back().accepted = i % 3 != 2;
        state.population.back().tunings = i;
        const Genome& genome = state.population.back().genome;
        state.seen.add(genome.hash(), std::nullopt, genome.size());
    }
    state.champions = {test::made_candidate("first", texts[0], 0.1, 0.1)};
    return state;
}

RunConfig made_config() {
    RunConfig config;
    config.seed = 21;
    config.population = 60;
    config.islands = 2;
    config.max_nodes = 20;
    return config;
}

struct SlowSlot {
    std::string hash;
    const Operator* op = nullptr;
    std::string hypothesis;
    std::vector<const Member*> parents;
    std::uint64_t duplicates = 0, kept_alike = 0;
};

/// The rules of a slot, one after the other.
SlowSlot slow_slot(const KnownState& state, const RunConfig& config, const Fitness& fitness, std::uint32_t slot) {
    Rng rng(config.seed, state.generation + 1, slot, Purpose::variation);
    std::vector<double> weights;
    for (const Operator& each : operators()) weights.push_back(each.weight);
    std::vector<ColumnId> readable;
    for (const auto& name : config.columns) readable.push_back(columns::intern(name));
    const Parents parents(state, config);
    SlowSlot made;
    for (int tries = 0; tries < 8; ++tries) {
        const Operator& op = operators()[rng.weighted(weights)];
        std::vector<const Member*> chosen{&parents.choose(slot, op.mating, rng)};
        if (op.mating != Mating::one) chosen.push_back(&parents.choose(slot, op.mating, rng));
        std::vector<const Formula*> formulas;
        for (const Member* member : chosen) formulas.push_back(&member->genome.formula());
        const Offspring offspring = op.make(formulas, rng, {readable, config.max_nodes});
        if (offspring.formula.empty() || offspring.formula.size() > 4 * config.max_nodes) continue;
        Formula formula = canonical(offspring.formula);
        std::vector<double> constants = formula.constants();
        for (double& constant : constants) constant = tidy(constant);
        formula = canonical(formula.with_constants(constants));
        if (formula.size() > config.max_nodes) continue;
        const bool ranks = std::ranges::any_of(formula.columns(), [](ColumnId id) {
            return columns::name(id) != "sequence_len" && columns::name(id) != "layer_ratio";
        });
        if (!ranks) continue;
        const std::string hash = canonical_hash(formula);
        if (state.seen.hashes.contains(number(hash))) {
            ++made.duplicates;
            continue;
        }
        if (config.semantic_duplicates) {
            const formula::Program program(formula);
            const auto kept = fitness.kept_hash({&program, program.constants()});
            const auto at = state.seen.kept.find(*kept);
            if (at != state.seen.kept.end() && at->second <= formula.size()) {
                ++made.kept_alike;
                continue;
            }
        }
        made.hash = hash;
        made.op = &op;
        made.hypothesis = offspring.hypothesis;
        made.parents = chosen;
        break;
    }
    return made;
}

/// What breed() must give without opening strategies, by the rules of a slot and of siblings.
void check_brood(const KnownState& state, const RunConfig& config, const Fitness& fitness) {
    const Brood brood = breed(state, state.seen, config, fitness);
    std::uint64_t duplicates = 0, kept_alike = 0;
    std::set<std::string> hashes;
    std::map<std::uint64_t, std::size_t> kept;
    std::size_t at = 0;
    for (std::uint32_t slot = 0; slot < config.population; ++slot) {
        const SlowSlot expected = slow_slot(state, config, fitness, slot);
        duplicates += expected.duplicates;
        kept_alike += expected.kept_alike;
        if (!expected.op) continue;
        if (hashes.contains(expected.hash)) {
            ++duplicates;
            continue;
        }
        const bool found = at < brood.bred.size() && brood.bred[at].candidate.slot == slot;
        if (config.semantic_duplicates && !found) { // a sibling before it keeps the same with no more nodes
            ++kept_alike;
            continue;
        }
        REQUIRE(found);
        const Bred& bred = brood.bred[at++];
        const Candidate& candidate = bred.candidate;
        INFO(slot << " " << expected.op->name << " " << candidate.genome.text());
        if (config.semantic_duplicates) {
            const auto [sibling, fresh] = kept.emplace(*candidate.kept_hash, candidate.genome.size());
            CHECK((fresh || sibling->second > candidate.genome.size()));
            sibling->second = candidate.genome.size();
        } else {
            CHECK_FALSE(candidate.kept_hash);
        }
        hashes.insert(expected.hash);
        CHECK(candidate.genome.hash_text() == expected.hash);
        CHECK(canonical_hash(candidate.genome.formula()) == expected.hash);
        CHECK(candidate.id == "g" + std::to_string(state.generation + 1) + "-s" + std::to_string(slot));
        CHECK(candidate.generation == state.generation + 1);
        CHECK(candidate.op == expected.op->name);
        CHECK(candidate.hypothesis == expected.hypothesis);
        Ids parents;
        const Member* best = expected.parents[0];
        for (const Member* parent : expected.parents) {
            parents.push_back(parent->id);
            if (parent->train.average < best->train.average) best = parent;
        }
        CHECK(candidate.parents == parents);
        CHECK(bred.parent.train == best->train.average);
        CHECK(bred.parent.nodes == best->genome.size());
        CHECK(bred.island == slot % config.islands);
        const bool alike = skeleton_of(candidate.genome) == expected.parents[0]->skeleton;
        CHECK(bred.tunings == (alike ? expected.parents[0]->tunings : 0));
        CHECK(candidate.status == Status::rejected);
    }
    CHECK(at == brood.bred.size());
    CHECK(brood.duplicates == duplicates);
    CHECK(brood.semantic_duplicates == kept_alike);
}

} // namespace

TEST_CASE("each slot is filled by the rules, from its own stream") {
    const MadeFitness fitness = MadeFitness::to_goal(0);
    const KnownState state = made_state(6);
    RunConfig config = made_config();
    check_brood(state, config, fitness);
    CHECK(breed(state, state.seen, config, fitness).bred.size() > 40);
    config.max_nodes = 5; // so that much is thrown away and made twice
    config.population = 200;
    check_brood(state, config, fitness);
    const Brood crowded = breed(state, state.seen, config, fitness);
    CHECK(crowded.duplicates > 20);
    for (const Bred& bred : crowded.bred) CHECK(bred.candidate.genome.size() <= 5);
}

TEST_CASE("constants are tidied after folding, and tunings are handed on with a structure") {
    const MadeFitness fitness = MadeFitness::to_goal(0);
    const KnownState state = made_state(6);
    const Brood brood = breed(state, state.seen, made_config(), fitness);
    std::size_t handed_on = 0;
    for (const Bred& bred : brood.bred) {
        for (const double constant : bred.candidate.genome.formula().constants()) CHECK(constant == tidy(constant));
        handed_on += bred.tunings > 0 ? 1 : 0;
    }
    CHECK(handed_on > 2);
    CHECK(handed_on < brood.bred.size() / 2);
}

TEST_CASE("what keeps the same tokens as something no larger is left out, where that is asked for") {
    MadeFitness fitness = MadeFitness::to_goal(0);
    fitness.hash = [](double score) {
        return static_cast<std::uint64_t>(std::fmod(std::min(std::abs(score), 1e6) * 7, 40));
    };
    KnownState state = made_state(6);
    for (std::uint64_t hash = 0; hash < 20; ++hash) state.seen.add(1, hash, 4 + hash % 5);
    RunConfig config = made_config();
    config.semantic_duplicates = true;
    check_brood(state, config, fitness);
    const Brood brood = breed(state, state.seen, config, fitness);
    CHECK(brood.semantic_duplicates > 20);
    CHECK_FALSE(brood.bred.empty());
    for (const Bred& bred : brood.bred) CHECK(bred.candidate.kept_hash);

    // Where everything keeps alike, eight tries a slot find nothing.
    fitness.hash = [](double) { return std::uint64_t{3}; };
    state.seen.add(1, 3, 1);
    const Brood none = breed(state, state.seen, config, fitness);
    CHECK(none.bred.empty());
    CHECK(none.semantic_duplicates + none.duplicates > 5 * config.population);
    CHECK(none.semantic_duplicates + none.duplicates <= 8 * config.population);
    config.semantic_duplicates = false;
    CHECK(breed(state, state.seen, config, fitness).bred.size() > 40);
}

TEST_CASE("generation 1 opens with the four strategies, and only that one") {
    MadeFitness fitness = MadeFitness::to_goal(0);
    KnownState state = made_state(0);
    RunConfig config = made_config();
    const auto strategies = opening_strategies();
    REQUIRE(strategies.size() == 4);
    {
        const Brood brood = breed(state, state.seen, config, fitness);
        for (std::uint32_t slot = 0; slot < 4; ++slot) {
            const Bred& bred = brood.bred[slot];
            CHECK(bred.candidate.id == "g1-s" + std::to_string(slot));
            CHECK(bred.candidate.op == strategies[slot].name);
            CHECK(bred.candidate.hypothesis == strategies[slot].hypothesis);
            CHECK(bred.candidate.genome.hash_text() == canonical_hash(formula::parse(strategies[slot].formula)));
            CHECK(bred.candidate.parents == Ids{texts[0]});
            CHECK(bred.parent.train == 0.1);
            CHECK(bred.parent.nodes == 1);
            CHECK(bred.island == slot % 2);
            CHECK(bred.tunings == 0);
            CHECK_FALSE(bred.candidate.kept_hash);
        }
        for (std::size_t i = 4; i < brood.bred.size(); ++i) {
            CHECK(brood.bred[i].candidate.slot >= 4);
            const SlowSlot expected = slow_slot(state, config, fitness, brood.bred[i].candidate.slot);
            CHECK(brood.bred[i].candidate.genome.hash_text() == expected.hash);
        }
    }
    { // with fewer places than strategies, too
        config.population = 2;
        CHECK(breed(state, state.seen, config, fitness).bred.size() == 4);
    }
    { // one that was tried before is counted and not made again; of others it does not matter what they keep
        config.semantic_duplicates = true;
        fitness.hash = [](double) { return std::uint64_t{3}; };
        const std::string known = canonical_hash(formula::parse(strategies[2].formula));
        state.seen.add(number(known), std::nullopt, 1);
        const Brood brood = breed(state, state.seen, config, fitness);
        REQUIRE(brood.bred.size() == 3);
        CHECK(brood.bred[2].candidate.slot == 3);
        CHECK(brood.duplicates == 1);
        CHECK(brood.semantic_duplicates == 0);
        CHECK(brood.bred[0].candidate.kept_hash == 3);
    }
    config = made_config();
    state.generation = 1;
    for (const Bred& bred : breed(state, state.seen, config, fitness).bred)
        for (const OpeningStrategy& strategy : strategies) CHECK(bred.candidate.op != strategy.name);
}

TEST_CASE("what gives all tokens of a row one score ranks nothing") {
    CHECK(ranks_tokens(formula::parse("recent_attn")));
    CHECK(ranks_tokens(formula::parse("layer_ratio*position")));
    CHECK_FALSE(ranks_tokens(formula::parse("layer_ratio")));
    CHECK_FALSE(ranks_tokens(formula::parse("sequence_len + layer_ratio*3")));
    CHECK_FALSE(ranks_tokens(formula::parse("2")));
    CHECK_FALSE(ranks_tokens(formula::parse("keep")));
}

TEST_CASE("a new candidate is its formula in canonical form, with its place and hash") {
    const Candidate made = new_candidate(12, 34, made_genome("recent_attn + 0 + 1*key_norm"));
    CHECK(made.id == "g12-s34");
    CHECK(made.generation == 12);
    CHECK(made.slot == 34);
    CHECK(made.genome.formula() == canonical(formula::parse("key_norm + recent_attn")));
    CHECK(made.genome.hash_text() == canonical_hash(made.genome.formula()));
    CHECK_FALSE(made.genome.parameters());
    CHECK_FALSE(made.valid);
    CHECK(made.status == Status::rejected);
}

TEST_CASE("a kept hash is asked for where semantic duplicates are looked for, of the formula as it is") {
    MadeFitness fitness = MadeFitness::to_goal(0);
    fitness.hash = [](double score) { return static_cast<std::uint64_t>(score * 10); };
    RunConfig config;
    CHECK_FALSE(kept_hash_of(made_genome("recent_attn"), config, fitness));
    config.semantic_duplicates = true;
    CHECK(kept_hash_of(made_genome("recent_attn"), config, fitness) == 10);
    CHECK(kept_hash_of(made_genome("2.5*recent_attn"), config, fitness) == 25);
}

TEST_CASE("where a plugin is tuned, slots are filled with sets of its parameters") {
    PluginHost host(std::vector<std::filesystem::path>{EVICTLAB_PLUGIN_FOLDER});
    RunConfig config;
    config.tunes = true;
    config.space = std::make_shared<const ParameterSpace>(make_scorer("snapkv@kvpress:window=8", host));
    const ParameterSpace& space = *config.space;
    config.seed = 4;
    config.population = 40;
    const MadeFitness fitness = MadeFitness::to_goal(0);
    KnownState state;
    for (std::uint32_t i = 0; i < 5; ++i) {
        const std::vector<double> values{8.0 + i, 5, i % 2 == 0 ? 0.0 : 1.0};
        Member member;
        member.genome = Genome::parameters_of(space, values);
        member.id = member.genome.hash_text();
        member.train = test::made_error(0.5 - 0.01 * i);
        member.skeleton = member.genome.hash();
        member.accepted = true;
        state.population.push_back(member);
        state.seen.add(member.genome.hash(), std::nullopt, member.genome.size());
    }
    const Brood brood = breed(state, state.seen, config, fitness); // generation 1, which has no opening here
    const Parents parents(state, config);
    std::vector<double> weights;
    for (const auto& each : parameter_operators()) weights.push_back(each.weight);
    std::size_t at = 0;
    std::set<std::string> hashes;
    for (std::uint32_t slot = 0; slot < config.population; ++slot) {
        Rng rng(config.seed, 1, slot, Purpose::variation);
        for (int tries = 0; tries < 8; ++tries) {
            const ParameterOperator& op = parameter_operators()[rng.weighted(weights)];
            std::vector<const Member*> chosen{&parents.choose(slot, op.mating, rng)};
            if (op.mating != Mating::one) chosen.push_back(&parents.choose(slot, op.mating, rng));
            std::vector<const std::vector<double>*> sets;
            for (const Member* member : chosen) sets.push_back(&member->genome.parameters()->values);
            const ParameterOffspring offspring = op.make(sets, rng, space);
            if (offspring.values.empty()) continue;
            const std::string text = space.text(offspring.values), hash = sha256_hex(text).substr(0, 16);
            if (state.seen.hashes.contains(number(hash))) continue;
            if (!hashes.insert(hash).second) break;
            REQUIRE(at < brood.bred.size());
            const Bred& bred = brood.bred[at++];
            CHECK(bred.candidate.slot == slot);
            CHECK(bred.candidate.generation == 1);
            CHECK(bred.candidate.id == "g1-s" + std::to_string(slot));
            CHECK(bred.candidate.genome.hash_text() == hash);
            CHECK(bred.candidate.op == op.name);
            CHECK(bred.candidate.hypothesis == offspring.hypothesis);
            CHECK(bred.candidate.genome.parameters()->scorer == text);
            CHECK(bred.candidate.genome.parameters()->values == offspring.values);
            CHECK(bred.candidate.genome.parameters()->changed == space.changed(offspring.values));
            CHECK(bred.candidate.parents.front() == chosen.front()->id);
            CHECK(bred.parent.train == std::min(chosen.front()->train.average, chosen.back()->train.average));
            CHECK(bred.tunings == 0);
            break;
        }
    }
    CHECK(at == brood.bred.size());
    CHECK(at > 15);
}
