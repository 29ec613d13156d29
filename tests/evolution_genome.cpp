// What a search varies: made canonical, hashed and compiled once, whichever of the two kinds it is.
// SPDX-License-Identifier: MIT
#include "evolution/genome.hpp"

#include "tests/support/catch.hpp"
#include "tests/support/made_search.hpp"

using namespace evictlab;
using namespace evictlab::evolution;

TEST_CASE("formulas that are equal in canonical form have one text and one hash") {
    const Genome one = Genome::canonical(formula::parse("recent_attn + 0 + 1*key_norm"));
    const Genome other = Genome::canonical(formula::parse("key_norm + recent_attn"));
    CHECK(one.text() == other.text());
    CHECK(one.hash() == other.hash());
    CHECK(one.hash_text() == formula::canonical_hash(formula::parse("key_norm + recent_attn")));
    CHECK(one.size() == 3);
    CHECK(Genome::canonical(formula::parse("key_norm - recent_attn")).hash() != one.hash());
}

TEST_CASE("a formula as it is written keeps its form and has the hash of the canonical one") {
    const Genome written = Genome::verbatim(formula::parse("recent_attn + 0"));
    CHECK(written.size() == 3);
    CHECK(written.text() == "recent_attn + 0");
    CHECK(written.hash() == Genome::canonical(formula::parse("recent_attn")).hash());
}

TEST_CASE("a genome is compiled once, and its copies share the program") {
    const Genome genome = test::made_genome("2*recent_attn + 0.5");
    const Genome copy = genome;
    const FitnessJob job = genome.job();
    CHECK(copy.job().program == job.program);
    CHECK(test::MadeFitness::score(job) == test::MadeFitness::score("2*recent_attn + 0.5"));
    const std::vector<Genome> all{genome, test::made_genome("key_norm"), test::made_parameters("a plugin", {1, 2}, 2)};
    const std::vector<FitnessJob> jobs = jobs_of(all);
    REQUIRE(jobs.size() == 3);
    CHECK(jobs[0].program == job.program);
    CHECK(test::MadeFitness::score(jobs[1]) == 3);
    CHECK(jobs[2].program == nullptr);
    CHECK(std::vector<double>(jobs[2].constants.begin(), jobs[2].constants.end()) == std::vector<double>{1, 2});
}
