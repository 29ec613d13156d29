// Epsilon-lexicase selection held to its definition, and who becomes a parent, by reading the same random stream.
// SPDX-License-Identifier: MIT
#include "evolution/lexicase.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "evolution/parents.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/made_search.hpp"

using namespace evictlab;
using namespace evictlab::evolution;
using test::made_member;
using test::pointers_to;

namespace {

using Cases = std::vector<std::vector<double>>; ///< [document][retention]

Member with_cases(const std::string& text, const Cases& cases, std::uint32_t island = 0) {
    Member member = made_member(text, 0.5, island);
    member.train.by_document = cases;
    return member;
}

double upper_median(std::vector<double> values) {
    std::ranges::sort(values);
    return values[values.size() / 2];
}

/// The definition: the cases in random order, and at each only those within epsilon of the best that is left.
std::size_t slow_lexicase(const std::vector<Member>& pool, Rng& rng) {
    std::vector<std::vector<double>> cases; // [case][member]
    for (std::size_t d = 0; d < pool[0].train.by_document.size(); ++d)
        for (std::size_t r = 0; r < pool[0].train.by_document[d].size(); ++r) {
            cases.emplace_back();
            for (const Member& member : pool) cases.back().push_back(member.train.by_document[d][r]);
        }
    std::vector<double> epsilon;
    for (const auto& errors : cases) {
        std::vector<double> away;
        for (const double error : errors) away.push_back(std::abs(error - upper_median(errors)));
        epsilon.push_back(upper_median(away));
    }
    std::vector<std::size_t> order, left;
    for (std::size_t c = 0; c < cases.size(); ++c) order.push_back(c);
    for (std::size_t m = 0; m < pool.size(); ++m) left.push_back(m);
    for (std::size_t turn = 0; turn < order.size() && left.size() > 1; ++turn) {
        std::swap(order[turn], order[turn + rng.below(order.size() - turn)]);
        const auto& errors = cases[order[turn]];
        double best = errors[left[0]];
        for (const std::size_t m : left) best = std::min(best, errors[m]);
        std::vector<std::size_t> stay;
        for (const std::size_t m : left)
            if (errors[m] <= best + epsilon[order[turn]]) stay.push_back(m);
        left = stay;
    }
    return left[rng.below(left.size())];
}

std::map<std::size_t, int> chosen_of(const std::vector<Member>& members, int draws = 300) {
    const auto pool = pointers_to(members);
    const Lexicase lexicase(pool);
    std::map<std::size_t, int> chosen;
    for (int i = 0; i < draws; ++i) {
        Rng rng(1, 0, static_cast<std::uint32_t>(i), Purpose::variation);
        ++chosen[lexicase.choose(rng)];
    }
    return chosen;
}

std::set<std::size_t> keys_of(const std::map<std::size_t, int>& chosen) {
    std::set<std::size_t> keys;
    for (const auto& [key, count] : chosen) keys.insert(key);
    return keys;
}

/// A state whose members are of these islands, cheapest first, and whose champion is not among them.
RunState made_state(std::vector<Member> population) {
    RunState state;
    state.population = std::move(population);
    state.champions = {test::made_candidate("first", "position", 0.9, 0.9),
                       test::made_candidate("champion", "key_norm", 0.5, 0.5)};
    return state;
}

} // namespace

TEST_CASE("lexicase keeps whoever is within the median absolute deviation of the best in a case") {
    // One case: errors 0, 1, 2, 3, 10 have the median 2, deviations 2, 1, 0, 1, 8, and of these the median 1.
    const std::vector<Member> members{with_cases("1*recent_attn", {{0}}), with_cases("2*recent_attn", {{1}}),
                                      with_cases("3*recent_attn", {{2}}), with_cases("4*recent_attn", {{3}}),
                                      with_cases("5*recent_attn", {{10}})};
    CHECK(keys_of(chosen_of(members)) == std::set<std::size_t>{0, 1});
    // Of an even number the upper one of two in the middle: 0, 1, 4, 9 have 4, deviations 4, 3, 0, 5, of these 4.
    const std::vector<Member> even{with_cases("1*recent_attn", {{9}}), with_cases("2*recent_attn", {{4}}),
                                   with_cases("3*recent_attn", {{1}}), with_cases("4*recent_attn", {{0}})};
    CHECK(keys_of(chosen_of(even)) == std::set<std::size_t>{1, 2, 3});
    // Where most are alike the deviation is 0, and nobody is about as good.
    const std::vector<Member> alike{with_cases("1*recent_attn", {{5}}), with_cases("2*recent_attn", {{5}}),
                                    with_cases("3*recent_attn", {{5}}), with_cases("4*recent_attn", {{4.999}})};
    CHECK(keys_of(chosen_of(alike)) == std::set<std::size_t>{3});
}

TEST_CASE("a case that comes later decides among those that the earlier ones left") {
    // The first two are best in the one case, and of them the second is in the other.
    const std::vector<Member> members{
        with_cases("1*recent_attn", {{0, 5}, {0, 5}}), with_cases("2*recent_attn", {{0, 4}, {0, 4}}),
        with_cases("3*recent_attn", {{1, 4}, {1, 4}}), with_cases("4*recent_attn", {{1, 5}, {1, 5}}),
        with_cases("5*recent_attn", {{1, 5}, {1, 5}}), with_cases("6*recent_attn", {{1, 5}, {1, 5}}),
        with_cases("7*recent_attn", {{1, 5}, {1, 5}})};
    CHECK(keys_of(chosen_of(members)) == std::set<std::size_t>{1});
}

TEST_CASE("lexicase chooses as its definition does, draw by draw") {
    for (std::uint32_t round = 0; round < 40; ++round) {
        Rng making(2, 0, round, Purpose::bootstrap);
        const std::size_t count = 1 + making.below(12), documents = 1 + making.below(4),
                          retentions = 1 + making.below(3);
        std::vector<Member> members;
        for (std::size_t i = 0; i < count; ++i) {
            Cases cases(documents, std::vector<double>(retentions));
            for (auto& document : cases)
                for (double& error : document) error = making.uniform();
            members.push_back(with_cases("recent_attn + " + std::to_string(i), cases));
        }
        const auto pool = pointers_to(members);
        const Lexicase lexicase(pool);
        for (std::uint32_t slot = 0; slot < 40; ++slot) {
            Rng rng(3, round, slot, Purpose::variation), same = rng;
            CHECK(lexicase.choose(rng) == slow_lexicase(members, same));
            CHECK(rng.next() == same.next());
        }
    }
}

TEST_CASE("a slot's parents come from its own island, the best of three draws") {
    std::vector<Member> population;
    for (int i = 0; i < 30; ++i)
        population.push_back(
            made_member("recent_attn + " + std::to_string(i), 0.1 + 0.01 * i, static_cast<std::uint32_t>(i % 3)));
    const RunState state = made_state(population);
    RunConfig config;
    config.islands = 3;
    const Parents parents(state, config);
    for (std::uint32_t slot = 0; slot < 300; ++slot) {
        Rng rng(1, 1, slot, Purpose::variation), same = rng;
        std::size_t best = same.below(10);
        for (int i = 0; i < 2; ++i) best = std::min(best, same.below(10));
        const Member& chosen = parents.choose(slot, Mating::one, rng);
        CHECK(chosen.id == population[3 * best + slot % 3].id);
        CHECK(chosen.island == slot % 3);
        CHECK(rng.next() == same.next());
    }
}

TEST_CASE("with lexicase, parents are chosen by their errors on documents, on each island") {
    std::vector<Member> population;
    Rng making(4, 0, 0, Purpose::bootstrap);
    for (std::uint32_t i = 0; i < 12; ++i) {
        const double first = making.uniform(), second = making.uniform();
        population.push_back(with_cases("recent_attn + " + std::to_string(i), {{first}, {second}}, i % 2));
    }
    RunConfig config;
    config.islands = 2;
    config.parents = ParentSelection::lexicase;
    const RunState state = made_state(population);
    const Parents parents(state, config);
    for (std::uint32_t slot = 0; slot < 100; ++slot) {
        std::vector<Member> island;
        for (const Member& member : population)
            if (member.island == slot % 2) island.push_back(member);
        Rng rng(1, 1, slot, Purpose::variation), same = rng;
        CHECK(parents.choose(slot, Mating::two, rng).id == island[slow_lexicase(island, same)].id);
    }
}

TEST_CASE("parents come out of the archive as often as is asked") {
    RunState state = made_state({made_member("recent_attn", 0.1), made_member("key_norm", 0.2)});
    state.archive = {made_member("position", 0.8), made_member("layer_ratio", 0.9)};
    RunConfig config;
    config.archive = 0.25;
    const Parents parents(state, config);
    int archived = 0;
    for (std::uint32_t slot = 0; slot < 1000; ++slot) {
        Rng rng(1, 1, slot, Purpose::variation), same = rng;
        const std::string id = parents.choose(slot, Mating::one, rng).id;
        if (same.uniform() < 0.25) {
            ++archived;
            CHECK(id == state.archive[same.below(2)].id);
        } else {
            CHECK((id == "recent_attn" || id == "key_norm"));
        }
    }
    CHECK(archived > 200);
    CHECK(archived < 300);
    config.archive = 0; // an archive of an earlier time is not read, and no draw is spent on it
    const Parents without(state, config);
    Rng rng(1, 1, 0, Purpose::variation), same = rng;
    without.choose(0, Mating::one, rng);
    for (int i = 0; i < 3; ++i) same.below(2);
    CHECK(rng.next() == same.next());
    config.archive = 0.25;
    state.archive.clear();
    const Parents empty(state, config);
    for (std::uint32_t slot = 0; slot < 50; ++slot) { // one in four would be out of it
        Rng other(1, 1, slot, Purpose::variation);
        const std::string id = empty.choose(slot, Mating::one, other).id;
        CHECK((id == "recent_attn" || id == "key_norm"));
    }
}

TEST_CASE("where a judge chose the champion it is the parent in seven of ten cases, in the population or not") {
    const RunState state = made_state({made_member("recent_attn", 0.1), made_member("recent_attn + 1", 0.2)});
    RunConfig config;
    config.asked_of_model = 3;
    const Parents parents(state, config);
    int champions = 0;
    for (std::uint32_t slot = 0; slot < 1000; ++slot) {
        Rng rng(1, 1, slot, Purpose::variation), same = rng;
        const Member& chosen = parents.choose(slot, Mating::one, rng);
        const bool champion = same.uniform() < 0.7;
        CHECK((chosen.id == "champion") == champion);
        champions += champion ? 1 : 0;
        if (!champion) continue;
        CHECK(chosen.genome.text() == state.champions[1].genome.text());
        CHECK(chosen.genome.hash() == state.champions[1].genome.hash());
        CHECK(chosen.train.average == 0.5);
        CHECK(chosen.accepted);
        CHECK(chosen.tunings == 0);
        CHECK(chosen.skeleton == skeleton_of(state.champions[1].genome));
    }
    CHECK(champions > 650);
    CHECK(champions < 750);
    config.asked_of_model = 0;
    const Parents alone(state, config);
    for (std::uint32_t slot = 0; slot < 100; ++slot) {
        Rng rng(1, 1, slot, Purpose::variation);
        CHECK(alone.choose(slot, Mating::one, rng).id != "champion");
    }
}

TEST_CASE("for a crossover of accepted formulas draws go on until one was accepted, nine at most") {
    std::vector<Member> population;
    for (int i = 0; i < 40; ++i)
        population.push_back(made_member("recent_attn + " + std::to_string(i), 0.1 + 0.01 * i));
    population[3].accepted = population[20].accepted = true;
    const RunState state = made_state(population);
    const RunConfig config;
    const Parents parents(state, config);
    int accepted = 0, spent = 0;
    for (std::uint32_t slot = 0; slot < 300; ++slot) {
        Rng rng(1, 1, slot, Purpose::variation), same = rng;
        std::size_t drawn = tournament(40, same, 3);
        int tries = 0;
        while (!population[drawn].accepted && tries < 8) {
            drawn = tournament(40, same, 3);
            ++tries;
        }
        const Member& chosen = parents.choose(slot, Mating::accepted, rng);
        CHECK(chosen.id == population[drawn].id);
        CHECK(rng.next() == same.next());
        (chosen.accepted ? accepted : spent) += 1;
    }
    CHECK(accepted > 50);
    CHECK(spent > 50);
}
