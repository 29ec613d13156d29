// The rule by which a race is left, worked out by hand, and what becomes of who leaves and who stays.
// SPDX-License-Identifier: MIT
#include "evolution/race.hpp"

#include <cmath>
#include <limits>

#include "tests/support/catch.hpp"
#include "tests/support/made_search.hpp"

using namespace evictlab;
using namespace evictlab::evolution;
using test::made_error;
using test::made_genome;
using test::made_member;
using test::MadeFitness;

namespace {

using Figures = std::vector<double>;

/// The rule's words: the mean difference against z of its standard errors, and against a part of the rival's mean.
bool slow_rule(const Figures& figures, const Figures& rival, double z, double slack) {
    double difference = 0, rivals = 0, variance = 0;
    const auto n = static_cast<double>(figures.size());
    for (std::size_t i = 0; i < figures.size(); ++i) difference += (figures[i] - rival[i]) / n, rivals += rival[i] / n;
    for (std::size_t i = 0; i < figures.size(); ++i)
        variance += std::pow(figures[i] - rival[i] - difference, 2) / (n - 1);
    return difference > z * std::sqrt(variance / n) && difference > slack * rivals;
}

/// Two heats of two parts each: a formula's figures are its score, and in the second heat twice that.
MadeFitness raced() {
    MadeFitness fitness([](SearchSplit, double score) { return made_error(10 * score); });
    fitness.heat_names = {"rough figure", "fine figure"};
    fitness.figures = [](std::size_t heat, double score) {
        return heat == 0 ? Figures{score, score} : Figures{2 * std::abs(score - 1) + 1, 2 * std::abs(score - 1) + 1};
    };
    return fitness;
}

struct Job {
    formula::Formula formula;
    formula::Program program;
    explicit Job(const std::string& text) : formula(formula::parse(text)), program(formula) {}
    FitnessJob job() const { return {&program, program.constants()}; }
};

} // namespace

TEST_CASE("who falls behind is behind by more than chance and more than the slack") {
    // Differences 1 and 3: mean 2, standard error sqrt(2 / 1 / 2) = 1.
    const Figures rival{10, 10}, figures{11, 13};
    CHECK(falls_behind(figures, rival, {1.99, 0}));
    CHECK_FALSE(falls_behind(figures, rival, {2, 0})); // at the threshold it stays
    CHECK_FALSE(falls_behind(figures, rival, {2.01, 0}));
    // Differences 2 and 2, of rivals of 8: a quarter.
    CHECK(falls_behind(Figures{10, 10}, Figures{8, 8}, {2, 0.2499}));
    CHECK_FALSE(falls_behind(Figures{10, 10}, Figures{8, 8}, {2, 0.25}));
    CHECK_FALSE(falls_behind(Figures{10, 10}, Figures{8, 8}, {2, 0.26}));
    // One part has no spread to judge by.
    CHECK(falls_behind(Figures{2}, Figures{1}, {2, 0}));
    CHECK_FALSE(falls_behind(Figures{1}, Figures{1}, {2, 0}));
    CHECK_FALSE(falls_behind(Figures{0.5}, Figures{1}, {2, 0}));
    // Ahead is never behind.
    CHECK_FALSE(falls_behind(Figures{9, 8}, rival, {0, 0}));
    CHECK_FALSE(falls_behind(rival, rival, {0, 0}));
}

TEST_CASE("the rule is that of its words on any figures") {
    Rng rng(6, 0, 0, Purpose::bootstrap);
    int behind = 0;
    for (int round = 0; round < 300; ++round) {
        Figures figures, rival;
        for (std::size_t i = 2 + rng.below(6); i > 0; --i) {
            rival.push_back(rng.uniform(0.5, 1));
            figures.push_back(rival.back() + rng.uniform(-0.2, 0.4));
        }
        const double z = rng.uniform(0, 3), slack = rng.uniform(0, 0.2);
        CHECK(falls_behind(figures, rival, {z, slack}) == slow_rule(figures, rival, z, slack));
        behind += falls_behind(figures, rival, {z, slack}) ? 1 : 0;
    }
    CHECK(behind > 50);
    CHECK(behind < 250);
}

TEST_CASE("the first heat forgives a tenth, later ones nothing") {
    const MadeFitness fitness = raced();
    const Rival rival(fitness, Job("recent_attn").job()); // a score of 1: 1 and 1, then 1 and 1
    CHECK_FALSE(rival.behind(0, Figures{1.0999, 1.0999}));
    CHECK(rival.behind(0, Figures{1.1001, 1.1001}));
    CHECK(rival.behind(0, Figures{1.15, 1.35}));       // by 0.25, of which the error is 0.1
    CHECK_FALSE(rival.behind(0, Figures{1.09, 1.29})); // by 0.19
    CHECK_FALSE(rival.behind(1, Figures{1, 1}));
    CHECK(rival.behind(1, Figures{1.0001, 1.0001}));
    CHECK_FALSE(rival.behind(1, Figures{1.01, 1.11})); // by 0.06, of which the error is 0.05
    CHECK(rival.behind(1, Figures{1.05, 1.11}));       // by 0.08 and 0.03
    CHECK(rival.ratio(0, Figures{2, 4}) == 3);
    CHECK(rival.ratio(1, Figures{0.5, 0.5}) == 0.5);
    const Rival twice(fitness, Job("2*recent_attn").job()); // 2 and 2, then 3 and 3
    CHECK(twice.ratio(0, Figures{2, 4}) == 1.5);
    CHECK(twice.ratio(1, Figures{2, 4}) == 1);
    const Rival nothing(fitness, Job("0*recent_attn + is_sink").job());
    CHECK(nothing.ratio(0, Figures{1e-6, 1e-6}) == Approx(1e6)); // of 1e-12 at least
    CHECK(fitness.measured == 0);                                // a rival is measured in its heats alone
}

TEST_CASE("who leaves a race is told why and not measured, and the others are measured as ever") {
    const MadeFitness fitness = raced();
    const Rival rival(fitness, Job("2*recent_attn").job());
    const std::vector<Genome> all{made_genome("1.5*recent_attn"), made_genome("3*recent_attn"),
                                  made_genome("2.15*recent_attn"), made_genome("5*recent_attn"),
                                  made_genome("2*recent_attn")};
    const std::vector<const Rival*> rivals{&rival, &rival, &rival, nullptr, &rival};
    const auto before = fitness.measured.load();
    const std::vector<Raced> raced = race_all(fitness, all, rivals, {});
    CHECK(fitness.measured - before == 3);
    REQUIRE(raced.size() == 5);
    CHECK(raced[0].errors.average == 15);
    CHECK(raced[0].why.empty());
    CHECK(raced[1].errors.by_retention.empty());
    CHECK(raced[1].why == "not measured in full: its rough figure is 1.5000 times that of the last in the population");
    CHECK(raced[2].errors.by_retention.empty()); // within the slack of the first heat, and behind in the second
    CHECK(raced[2].why == "not measured in full: its fine figure is 1.1000 times that of the last in the population");
    CHECK(raced[3].errors.average == 50); // has no rival
    CHECK(raced[3].why.empty());
    CHECK(raced[4].errors.average == 20); // as good as its rival
}

TEST_CASE("a race of many pieces gives each its own rival and reason") {
    MadeFitness fitness = raced();
    fitness.work_of_one = 4'000'000; // two in a piece
    const Rival low(fitness, Job("2*recent_attn").job()), high(fitness, Job("9*recent_attn").job());
    std::vector<Genome> all;
    std::vector<const Rival*> rivals;
    for (std::size_t i = 0; i < 7; ++i) {
        all.push_back(made_genome(std::to_string(i + 1) + "*recent_attn"));
        rivals.push_back(i % 2 == 0 ? &low : &high);
    }
    const auto raced = race_all(fitness, all, rivals, {});
    for (std::size_t i = 0; i < raced.size(); ++i) {
        const bool stays = i % 2 == 1 || i + 1 <= 2;
        CHECK(raced[i].why.empty() == stays);
        if (stays) CHECK(raced[i].errors.average == 10.0 * static_cast<double>(i + 1));
    }
}

TEST_CASE("without rivals there is no race") {
    const MadeFitness fitness = raced();
    const std::vector<Genome> all(2, made_genome("5*recent_attn"));
    const std::vector<const Rival*> none{nullptr, nullptr};
    const auto raced = race_all(fitness, all, none, {});
    REQUIRE(raced.size() == 2);
    CHECK(raced[1].errors.average == 50);
    CHECK(raced[1].why.empty());
}

TEST_CASE("a stop is heeded between the pieces of a race") {
    const MadeFitness fitness = raced();
    const std::atomic<bool> stop = true;
    const std::vector<Genome> all{made_genome("5*recent_attn")};
    const std::vector<const Rival*> none{nullptr};
    CHECK_THROWS_AS(race_all(fitness, all, none, StopSignal(&stop)), Interrupted);
    StopSignal late;
    CHECK_NOTHROW(late.check());
    late.set_deadline(StopSignal::Clock::now() + std::chrono::hours(1));
    CHECK_NOTHROW(late.check());
    CHECK_FALSE(late.late());
    late.set_deadline(StopSignal::Clock::now());
    CHECK(late.late());
    CHECK_THROWS_AS(late.check(), Interrupted);
    CHECK_THROWS_AS(evaluate_all(fitness, SearchSplit::train, all, late), Interrupted);
}

TEST_CASE("pieces are as many jobs as fit, in order, and at least one") {
    MadeFitness fitness = raced();
    const Job job("recent_attn");
    const std::vector<FitnessJob> jobs(7, job.job());
    const auto pieces = [&](std::size_t work) {
        fitness.work_of_one = work;
        std::vector<std::size_t> sizes;
        const FitnessJob* next = jobs.data();
        for_each_piece(fitness, SearchSplit::train, jobs, {}, [&](std::span<const FitnessJob> piece) {
            CHECK(piece.data() == next);
            next += piece.size();
            sizes.push_back(piece.size());
        });
        CHECK(next == jobs.data() + jobs.size());
        return sizes;
    };
    CHECK(pieces(4'000'000) == std::vector<std::size_t>{2, 2, 2, 1});
    CHECK(pieces(8'000'000) == std::vector<std::size_t>(7, 1));
    CHECK(pieces(80'000'000) == std::vector<std::size_t>(7, 1));
    CHECK(pieces(2'000'000) == std::vector<std::size_t>{4, 3});
    CHECK(pieces(0) == std::vector<std::size_t>{7});
}

TEST_CASE("an island's rival is the last that holds its place by cost") {
    const MadeFitness fitness = raced();
    RunState state;
    state.population = {made_member("recent_attn", 0.1, 0),
                        made_member("2*recent_attn", 0.2, 1),
                        made_member("3*recent_attn", 0.3, 0),
                        made_member("4*recent_attn", 0.4, 1),
                        made_member("tanh(tanh(recent_attn))", 0.5, 1),
                        made_member("6*recent_attn", 0.5, 2)};
    RunConfig config;
    config.population = 9;
    config.islands = 3;
    CHECK(Rivals(state, config, fitness).of_island(0) == nullptr); // no race is asked for
    config.race = true;
    const Rivals rivals(state, config, fitness);
    REQUIRE(rivals.of_island(0));
    REQUIRE(rivals.of_island(1));
    CHECK(rivals.of_island(2) == nullptr); // one of three places is taken
    CHECK(rivals.of_island(0)->ratio(0, Figures{3, 3}) == 1);
    CHECK(rivals.of_island(1)->ratio(0, Figures{1, 1}) == Approx(1 / std::tanh(std::tanh(1))));
    MadeFitness without = raced();
    without.heat_names.clear();
    CHECK(Rivals(state, config, without).of_island(0) == nullptr);
}

TEST_CASE("a tuner is told the error, or an estimate that is not below the rival's") {
    const MadeFitness fitness = raced();
    const Rival rival(fitness, Job("2*recent_attn").job());
    CHECK(raced_error(fitness, Job("2*recent_attn").job(), rival, 20) == 20);
    CHECK(raced_error(fitness, Job("recent_attn").job(), rival, 20) == 10);
    CHECK(raced_error(fitness, Job("3*recent_attn").job(), rival, 20) == 20 * 1.5);
    CHECK(raced_error(fitness, Job("2.15*recent_attn").job(), rival, 20) == Approx(20 * 1.1));
    // Behind in the mean of the differences, though by the ratio of another sign: the rival's own error at least.
    MadeFitness odd = raced();
    odd.figures = [](std::size_t, double score) { return Figures{score - 4, score - 4}; };
    const Rival negative(odd, Job("2*recent_attn").job());
    CHECK(raced_error(odd, Job("3*recent_attn").job(), negative, 20) == 20);
}
