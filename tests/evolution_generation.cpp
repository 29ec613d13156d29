// The bookkeeping of a generation: what it counts, who is accepted, promoted and kept, what is tuned and when the
// islands' best move, all worked out anew from its candidates. SPDX-License-Identifier: MIT
#include "evolution/generation.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "evolution/archive.hpp"
#include "evolution/breeding.hpp"
#include "evolution/gates.hpp"
#include "evolution/islands.hpp"
#include "evolution/member_tuning.hpp"
#include "evolution/model_gate.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/made_search.hpp"
#include "tests/support/table_judge.hpp"

using namespace evictlab;
using namespace evictlab::evolution;
using test::ids_of;
using test::KnownState;
using test::made_error;
using test::MadeFitness;

namespace {

using Ids = std::vector<std::string>;

const StopSignal never;

/// Two documents and two retentions, whose mean is the distance to 3 on train, and to 2 on valid.
FormulaErrors errors_on_two(SearchSplit split, double score) {
    const double error = std::min(1e3, std::abs(score - (split == SearchSplit::train ? 3.0 : 2.0)));
    FormulaErrors errors = made_error(error);
    errors.by_retention = {1.5 * error, 0.5 * error};
    errors.by_document = {{1.25 * error, 0.75 * error}, {1.75 * error, 0.25 * error}};
    return errors;
}
MadeFitness two_documents() { return MadeFitness(errors_on_two); }

RunConfig made_config() {
    RunConfig config;
    config.start = "a start";
    config.start_formula = formula::parse("0.5*recent_attn + 0.25*cumulative_attn"); // 1
    config.seed = 2;
    config.population = 80;
    config.max_nodes = 15;
    config.node_price = 0.001;
    config.tuned = 0;
    config.tuning_evaluations = 30;
    return config;
}

/// As a run keeps it.
KnownState kept(Generation generation, Seen seen = {}) {
    KnownState state{std::move(generation.state), std::move(seen)};
    for (const Candidate& candidate : generation.candidates) state.seen.add(candidate);
    return state;
}

KnownState after(const RunConfig& config, const Fitness& fitness, std::uint32_t generations) {
    KnownState state = kept(first_generation(config, fitness, never));
    for (std::uint32_t i = 0; i < generations; ++i) {
        Generation next = next_generation(state, state.seen, config, fitness, never);
        state = kept(std::move(next), std::move(state.seen));
    }
    return state;
}

Member member_of(const Candidate& candidate, std::uint32_t island) {
    Member member;
    member.id = candidate.id;
    member.genome = candidate.genome;
    member.train = candidate.train;
    member.skeleton = skeleton_of(candidate.genome);
    member.island = island;
    return member;
}

/// Statuses, reasons and champions of a generation without tuning, from its candidates' figures alone.
void check_gates(const RunState& before, const Generation& made, const RunConfig& config) {
    std::map<std::string, const Member*> parents;
    for (const Member& member : before.population) parents[member.id] = &member;
    std::vector<Candidate> champions = before.champions;
    const double price = config.node_price * before.champions.front().train.average;
    std::uint64_t accepted = 0;
    for (const Candidate& candidate : made.candidates) {
        INFO(candidate.id << " " << candidate.reason);
        const Member* best = parents.at(candidate.parents.front());
        for (const std::string& id : candidate.parents)
            if (parents.at(id)->train.average < best->train.average) best = parents.at(id);
        const GateResult first = gate_train(candidate, {best->train.average, best->genome.size()}, price);
        std::string reason = first.reason;
        Status status = first.passed ? Status::accepted : Status::rejected;
        CHECK(candidate.valid.has_value() == first.passed);
        if (first.passed) {
            ++accepted;
            const GateResult second = gate_promotion(candidate, champions.back());
            reason += "; " + second.reason;
            if (second.passed) {
                status = Status::champion;
                champions.push_back(candidate);
            }
        }
        CHECK(candidate.status == status);
        CHECK(candidate.reason == reason);
        CHECK(candidate.train.by_document.empty() == (status == Status::rejected));
    }
    CHECK(ids_of(made.state.champions) == ids_of(champions));
    CHECK(made.state.counters.accepted - before.counters.accepted == accepted);
    const bool new_champion = champions.size() > before.champions.size();
    CHECK(made.state.last_champion_generation ==
          (new_champion ? made.state.generation : before.last_champion_generation));
}

} // namespace

TEST_CASE("generation 0 is the start, measured on both splits, the champion on every island") {
    const MadeFitness fitness = two_documents();
    RunConfig config = made_config();
    config.islands = 3;
    SECTION("without an archive") {}
    SECTION("with one") { config.archive = 0.1; }
    const Generation first = first_generation(config, fitness, never);
    REQUIRE(first.candidates.size() == 1);
    const Candidate& start = first.candidates[0];
    CHECK(start.id == "g0-s0");
    CHECK(start.op == "start");
    CHECK(start.hypothesis == "what the run begins from: a start");
    CHECK(start.status == Status::champion);
    CHECK(start.reason == "the first champion");
    CHECK(start.train.average == Approx(2));
    CHECK(start.valid->average == Approx(1));
    CHECK(start.train.by_document.size() == 2);
    CHECK_FALSE(start.kept_hash);
    const RunState& state = first.state;
    CHECK(state.generation == 0);
    CHECK(state.last_champion_generation == 0);
    CHECK(state.counters.candidates == 1);
    CHECK(state.counters.accepted == 1);
    CHECK(state.counters.evaluations == 1);
    CHECK(state.counters.duplicates + state.counters.semantic_duplicates + state.counters.raced_out +
              state.counters.refused ==
          0);
    REQUIRE(state.population.size() == 3);
    for (std::uint32_t island = 0; island < 3; ++island) {
        CHECK(state.population[island].island == island);
        CHECK(state.population[island].id == "g0-s0");
        CHECK(state.population[island].accepted);
        CHECK(state.population[island].tunings == 0);
        CHECK(state.population[island].train.by_document.empty()); // a tournament does not look at them
    }
    CHECK(ids_of(state.champions) == Ids{"g0-s0"});
    CHECK(state.archive.size() == (config.archive > 0 ? 1 : 0));
    REQUIRE(state.history.size() == 1);
    CHECK(state.history[0].generation == 0);
    CHECK(state.history[0].best_train == Approx(2));
    CHECK(state.history[0].champion_train == Approx(2));
    CHECK(state.history[0].champion_valid == Approx(1));
    CHECK(state.history[0].evaluations == 1);
}

TEST_CASE("a start that cannot be measured is an error that says why") {
    for (const SearchSplit broken : {SearchSplit::train, SearchSplit::valid}) {
        const MadeFitness fitness([broken](SearchSplit split, double) {
            FormulaErrors errors = made_error(1);
            if (split == broken) errors = {{}, 0, {}, "it is broken"};
            return errors;
        });
        CHECK_THROWS_WITH(
            first_generation(made_config(), fitness, never),
            ContainsSubstring("the run cannot begin from a start: it is broken; name it with other values"));
    }
}

TEST_CASE("each candidate's fate and every count follow from its figures") {
    const MadeFitness fitness = two_documents();
    const RunConfig config = made_config();
    KnownState before = kept(first_generation(config, fitness, never));
    bool promoted = false, refused_by_valid = false;
    for (std::uint32_t generation = 1; generation <= 6; ++generation) {
        const auto measured = fitness.measured.load();
        const Generation made = next_generation(before, before.seen, config, fitness, never);
        check_gates(before, made, config);
        const RunState& state = made.state;
        CHECK(state.generation == generation);
        const Brood brood = breed(before, before.seen, config, fitness);
        CHECK(made.candidates.size() == brood.bred.size());
        CHECK(state.counters.candidates - before.counters.candidates == made.candidates.size());
        CHECK(state.counters.evaluations - before.counters.evaluations == made.candidates.size());
        CHECK(state.counters.duplicates - before.counters.duplicates == brood.duplicates);
        CHECK(state.counters.semantic_duplicates == 0);
        CHECK(state.counters.raced_out == 0);
        CHECK(state.counters.refused == 0);
        const auto accepted = state.counters.accepted - before.counters.accepted;
        CHECK(fitness.measured - measured == made.candidates.size() + accepted); // valid is for the accepted alone

        std::vector<Member> pool = before.population;
        for (const Candidate& candidate : made.candidates) pool.push_back(member_of(candidate, 0));
        const double price = config.node_price * before.champions.front().train.average;
        CHECK(ids_of(state.population) == ids_of(survivors(pool, {80, price, 2})));
        std::map<std::string, Status> fates;
        for (const Candidate& candidate : made.candidates) fates[candidate.id] = candidate.status;
        for (const Member& member : state.population)
            if (fates.contains(member.id)) CHECK(member.accepted == (fates[member.id] != Status::rejected));

        double best = 1e9;
        for (const Member& member : state.population) best = std::min(best, member.train.average);
        REQUIRE(state.history.size() == generation + 1);
        CHECK(state.history.back().generation == generation);
        CHECK(state.history.back().best_train == best);
        CHECK(state.history.back().champion_train == state.champion().train.average);
        CHECK(state.history.back().champion_valid == state.champion().valid->average);
        CHECK(state.history.back().evaluations == state.counters.evaluations);
        for (const Candidate& candidate : made.candidates) {
            promoted = promoted || candidate.status == Status::champion;
            refused_by_valid = refused_by_valid || candidate.reason.find("overfits train") != std::string::npos;
        }
        before = kept(next_generation(before, before.seen, config, fitness, never), before.seen);
    }
    CHECK(promoted);
    CHECK(refused_by_valid);
}

TEST_CASE("so many may share a skeleton: two, or one in forty of the population") {
    const MadeFitness fitness = two_documents();
    for (const auto& [population, most] : std::map<std::uint32_t, std::size_t>{{24, 2}, {160, 4}}) {
        RunConfig config = made_config();
        config.population = population;
        config.columns = {"recent_attn"};
        config.max_nodes = 5;
        config.node_price = 0;
        const RunState state = after(config, fitness, 4);
        std::map<std::uint64_t, std::size_t> alike;
        std::size_t largest = 0;
        for (const Member& member : state.population) largest = std::max(largest, ++alike[member.skeleton]);
        CHECK(largest >= most);
        CHECK(largest <= most + 1); // and one on the front
    }
}

TEST_CASE("the history is the last hundred generations") {
    const MadeFitness fitness = two_documents();
    RunConfig config = made_config();
    config.population = 4;
    KnownState state = kept(first_generation(config, fitness, never));
    state.generation = 98;
    state.history.assign(99, HistoryLine{0, 1, 1, 1, 1});
    for (std::uint32_t i = 0; i < 99; ++i) state.history[i].generation = i;
    state = kept(next_generation(state, state.seen, config, fitness, never));
    CHECK(state.history.size() == 100);
    CHECK(state.history.front().generation == 0);
    state = kept(next_generation(state, state.seen, config, fitness, never));
    CHECK(state.history.size() == 100);
    CHECK(state.history.front().generation == 1);
    CHECK(state.history.back().generation == 100);
    CHECK(history_limit == 100);
}

TEST_CASE("islands breed apart, and their best move on every so many generations") {
    const MadeFitness fitness = two_documents();
    RunConfig config = made_config();
    config.islands = 3;
    config.migration = 2;
    KnownState before = kept(first_generation(config, fitness, never));
    bool moved = false;
    for (std::uint32_t generation = 1; generation <= 6; ++generation) {
        const Generation made = next_generation(before, before.seen, config, fitness, never);
        std::vector<Member> pool = before.population;
        for (const Candidate& candidate : made.candidates) pool.push_back(member_of(candidate, candidate.slot % 3));
        const double price = config.node_price * before.champions.front().train.average;
        std::vector<Member> expected = survivors_of_islands(pool, {80, price, 2}, 3);
        const auto places = [](const std::vector<Member>& members) {
            Ids all;
            for (const Member& member : members) all.push_back(member.id + "@" + std::to_string(member.island));
            return all;
        };
        const Ids unmoved = places(expected);
        if (generation % 2 == 0) {
            migrate(expected, 3);
            expected = survivors_of_islands(expected, {80, price, 2}, 3);
        }
        CHECK(places(made.state.population) == places(expected));
        moved = moved || places(expected) != unmoved;
        before = kept(next_generation(before, before.seen, config, fitness, never), before.seen);
    }
    CHECK(moved);
}

TEST_CASE("the archive is offered what a generation made, and is kept where it is asked for") {
    const MadeFitness fitness = two_documents();
    RunConfig config = made_config();
    CHECK(after(config, fitness, 2).archive.empty());
    config.archive = 0.2;
    const KnownState before = after(config, fitness, 1);
    const Generation made = next_generation(before, before.seen, config, fitness, never);
    std::vector<Member> expected = before.archive, members;
    for (const Candidate& candidate : made.candidates) members.push_back(member_of(candidate, 0));
    offer_to_archive(expected, members);
    CHECK(ids_of(made.state.archive) == ids_of(expected));
    CHECK(expected.size() > before.archive.size());
}

TEST_CASE("with lexicase members keep their errors by document") {
    const MadeFitness fitness = two_documents();
    RunConfig config = made_config();
    config.parents = ParentSelection::lexicase;
    const RunState state = after(config, fitness, 2);
    for (const Member& member : state.population) CHECK(member.train.by_document.size() == 2);
}

TEST_CASE("who leaves the race is counted, rejected and in no population") {
    MadeFitness fitness = two_documents();
    fitness.heat_names = {"rough figure"};
    fitness.figures = [](std::size_t, double score) {
        const double error = std::min(1e3, std::abs(score - 3));
        return std::vector<double>{error, error};
    };
    RunConfig config = made_config();
    config.race = true;
    config.population = 20;
    KnownState before = after(config, fitness, 3);
    const Generation made = next_generation(before, before.seen, config, fitness, never);
    std::set<std::string> out;
    for (const Candidate& candidate : made.candidates) {
        if (!candidate.train.by_retention.empty()) continue;
        out.insert(candidate.id);
        CHECK(candidate.status == Status::rejected);
        CHECK_FALSE(candidate.valid);
        CHECK_THAT(candidate.reason, ContainsSubstring("not measured in full: its rough figure is "));
    }
    CHECK(out.size() > 2);
    CHECK(out.size() < made.candidates.size());
    CHECK(made.state.counters.raced_out - before.counters.raced_out == out.size());
    CHECK(made.state.counters.evaluations - before.counters.evaluations == made.candidates.size());
    CHECK(made.state.counters.candidates - before.counters.candidates == made.candidates.size());
    for (const Member& member : made.state.population) CHECK_FALSE(out.contains(member.id));
}

TEST_CASE("each island's offspring race against its own last place, and those of an island with free places do not") {
    MadeFitness fitness = two_documents();
    fitness.heat_names = {"rough figure"};
    fitness.figures = [](std::size_t, double score) {
        const double error = std::min(1e3, std::abs(score - 3));
        return std::vector<double>{error, error};
    };
    RunConfig config = made_config();
    config.race = true;
    config.population = 30;
    config.islands = 3;
    KnownState before = after(config, fitness, 2);
    std::erase_if(before.population, [](const Member& member) { return member.island == 2; });
    before.population.push_back(test::made_member("key_norm", 0.5, 2)); // one of ten places
    std::map<std::uint32_t, double> last;
    for (const std::uint32_t island : {0, 1}) {
        std::vector<const Member*> members;
        for (const Member& member : before.population)
            if (member.island == island) members.push_back(&member);
        last[island] = last_place(members, 10)->train.average;
    }
    REQUIRE(last[0] != last[1]);
    std::size_t out = 0, stayed = 0;
    for (const Candidate& candidate : next_generation(before, before.seen, config, fitness, never).candidates) {
        const double error = std::min(1e3, std::abs(MadeFitness::score(candidate.genome.text()) - 3));
        const std::uint32_t island = candidate.slot % 3;
        const bool behind = island < 2 && error - last[island] > 0.1 * last[island];
        CHECK(candidate.train.by_retention.empty() == behind);
        (behind ? out : stayed) += 1;
    }
    CHECK(out > 2);
    CHECK(stayed > 2);
}

TEST_CASE("what cannot be measured is refused with the reason, and not counted as an evaluation") {
    const MadeFitness fitness([](SearchSplit split, double score) {
        FormulaErrors errors = made_error(std::min(1e3, std::abs(score - 3)));
        if (split == SearchSplit::train && score > 3) errors = {{}, 0, {}, "too high"};
        if (split == SearchSplit::valid && score > 2.5 && score <= 3) errors = {{}, 0, {}, "too near"};
        return errors;
    });
    const RunConfig config = made_config();
    const KnownState before = after(config, fitness, 1);
    const Generation made = next_generation(before, before.seen, config, fitness, never);
    std::size_t refused = 0, refused_on_valid = 0;
    for (const Candidate& candidate : made.candidates) {
        if (candidate.reason == "these parameters cannot be measured: too high") {
            ++refused;
            CHECK(candidate.status == Status::rejected);
            CHECK_FALSE(candidate.valid);
        }
        if (candidate.reason.ends_with("; on valid these parameters cannot be measured: too near")) {
            ++refused_on_valid;
            CHECK(candidate.status == Status::rejected);
            CHECK_FALSE(candidate.valid);
        }
    }
    CHECK(refused > 0);
    CHECK(refused_on_valid > 0);
    CHECK(made.state.counters.refused - before.counters.refused == refused);
    CHECK(made.state.counters.evaluations - before.counters.evaluations == made.candidates.size() - refused);
}

TEST_CASE("the best structures are tuned; what improves is a candidate in a slot behind the offspring's") {
    const MadeFitness fitness = two_documents();
    RunConfig config = made_config();
    const KnownState before = after(config, fitness, 1);
    const Generation bred = next_generation(before, before.seen, config, fitness, never); // without tuning
    config.tuned = 3;
    const Generation made = next_generation(before, before.seen, config, fitness, never);
    const std::vector<std::size_t> chosen = structures_to_tune(bred.state, config);
    REQUIRE(chosen.size() == 3);
    std::uint64_t evaluations = bred.state.counters.evaluations, duplicates = bred.state.counters.duplicates;
    std::set<std::uint64_t> hashes;
    for (const Candidate& candidate : bred.candidates) hashes.insert(candidate.genome.hash());
    std::size_t at = bred.candidates.size();
    for (std::size_t i = 0; i < chosen.size(); ++i) {
        const Member& parent = bred.state.population[chosen[i]];
        const auto slot = static_cast<std::uint32_t>(config.population + i);
        const TuningResult result = tune(parent, config, fitness, never, Rng(config.seed, 2, slot, Purpose::tuning));
        evaluations += result.evaluations;
        if (!(result.error < parent.train.average)) continue;
        const Candidate expected = tuned_candidate(parent, result, config, 2, slot);
        if (before.seen.hashes.contains(expected.genome.hash()) || !hashes.insert(expected.genome.hash()).second) {
            ++duplicates;
            continue;
        }
        ++evaluations;
        REQUIRE(at < made.candidates.size());
        const Candidate& tuned = made.candidates[at++];
        CHECK(tuned.id == "g2-s" + std::to_string(slot));
        CHECK(tuned.genome.hash() == expected.genome.hash());
        CHECK(tuned.hypothesis == expected.hypothesis);
        CHECK(tuned.op == "tune_constants");
        CHECK(tuned.parents == Ids{parent.id});
        CHECK(tuned.train.average == result.error);
        CHECK(tuned.status != Status::rejected);
        CHECK_THAT(tuned.reason, ContainsSubstring("is below its parent's"));
        const auto member = std::ranges::find(made.state.population, tuned.id, &Member::id);
        if (member != made.state.population.end()) {
            CHECK(member->tunings == parent.tunings + 1);
            CHECK(member->island == parent.island);
        }
    }
    CHECK(at > bred.candidates.size());
    CHECK(at == made.candidates.size());
    CHECK(made.state.counters.evaluations == evaluations);
    CHECK(made.state.counters.duplicates == duplicates);
    CHECK(made.state.counters.candidates == before.counters.candidates + made.candidates.size());
    for (const std::size_t index : chosen) { // those that were tuned and are still there
        const Member& parent = bred.state.population[index];
        const auto still = std::ranges::find(made.state.population, parent.id, &Member::id);
        if (still != made.state.population.end()) CHECK(still->tunings == parent.tunings + 1);
    }
}

TEST_CASE("with a judge errors promote nobody, what is near the champion passes, and the model's word is kept") {
    const MadeFitness fitness = two_documents();
    RunConfig config = made_config();
    config.asked_of_model = 4;
    config.population = 30;
    test::TableJudge table;
    table.goal = 1; // of the first number
    External external;
    external.judge = &table.open();
    KnownState before = kept(first_generation(config, fitness, never, external));
    CHECK(before.champion().verdict);
    bool near = false, promoted = false;
    for (int i = 0; i < 4; ++i) {
        Generation made = next_generation(before, before.seen, config, fitness, never, external);
        std::size_t judged = 0;
        for (const Candidate& candidate : made.candidates) {
            judged += candidate.reason.find("the model's KL divergence") != std::string::npos ? 1 : 0;
            near = near || candidate.reason.find("is near the champion's") != std::string::npos;
            CHECK(candidate.reason.find("beats the champion: train") == std::string::npos);
            if (candidate.status != Status::champion) continue;
            promoted = true;
            CHECK(candidate.verdict);
        }
        CHECK(judged <= 4);
        if (made.state.champions.size() > before.champions.size())
            CHECK(made.state.last_champion_generation == made.state.generation);
        before = kept(std::move(made), std::move(before.seen));
    }
    CHECK(near);
    CHECK(promoted);
}

TEST_CASE("the champion that was tuned in the model has the last slot, is measured offline and judged on valid") {
    const MadeFitness fitness = two_documents();
    RunConfig config = made_config();
    config.start_formula = formula::parse("2*recent_attn");
    config.asked_of_model = 1;
    config.population = 10;
    config.tuned = 2;
    config.verdict_tuning = 40;
    config.semantic_duplicates = true;
    test::TableJudge table;
    table.goal = 0.5;
    External external;
    MadeFitness hashed = two_documents();
    hashed.hash = [](double score) { return std::hash<double>{}(score); };
    external.judge = &table.open();
    const KnownState before = kept(first_generation(config, hashed, never, external));
    config.verdict_tuning = 0;
    const Generation without = next_generation(before, before.seen, config, hashed, never, external);
    config.verdict_tuning = 40;
    const Generation made = next_generation(before, before.seen, config, hashed, never, external);
    REQUIRE(made.candidates.size() == without.candidates.size() + 1);
    const Candidate& tuned = made.candidates.back();
    CHECK(tuned.id == "g1-s12"); // behind ten offspring and two tunings
    CHECK(tuned.op == "tune_constants_in_model");
    CHECK(tuned.parents == Ids{without.state.champion().id});
    CHECK(tuned.train.average == Approx(std::abs(MadeFitness::score(tuned.genome.text()) - 3)));
    CHECK(tuned.valid->average == Approx(std::abs(MadeFitness::score(tuned.genome.text()) - 2)));
    CHECK(tuned.kept_hash);
    CHECK(tuned.status == Status::champion);
    CHECK(tuned.verdict->train.average < without.state.champion().verdict->train.average);
    CHECK_THAT(tuned.reason, ContainsSubstring("better than the champion inside the model; train "));
    CHECK(made.state.champion().id == tuned.id);
    CHECK(made.state.last_champion_generation == 1);
    CHECK(made.state.counters.candidates == without.state.counters.candidates + 1);
    CHECK(made.state.counters.evaluations == without.state.counters.evaluations + 36 + 1); // six times six
    CHECK(made.state.counters.accepted == without.state.counters.accepted + 1);

    // Tried before, or not to be measured offline, it is no candidate.
    KnownState known = before;
    known.seen.add(tuned.genome.hash(), std::nullopt, tuned.genome.size());
    CHECK(next_generation(known, known.seen, config, hashed, never, external).candidates.size() ==
          without.candidates.size());
    for (const SearchSplit broken : {SearchSplit::train, SearchSplit::valid}) {
        const double at = MadeFitness::score(tuned.genome.text());
        MadeFitness failing([&](SearchSplit split, double score) {
            if (split == broken && score == at) return FormulaErrors{{}, 0, {}, "it is broken"};
            return errors_on_two(split, score);
        });
        failing.hash = hashed.hash;
        CHECK(next_generation(before, before.seen, config, failing, never, external).candidates.size() ==
              without.candidates.size());
    }
}
