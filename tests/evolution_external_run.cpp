// Runs with a judge and a proposer: the model has the last word, nothing is asked twice, and whatever the other side
// does costs no more than it must. SPDX-License-Identifier: MIT
#include <algorithm>
#include <set>

#include "evolution/model_gate.hpp"
#include "evolution/run.hpp"
#include "framework/fitness/rescore_fitness.hpp"
#include "framework/suite/suite.hpp"
#include "tests/support/acting_process.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/small_runs.hpp"

using namespace evictlab;
using namespace evictlab::evolution;
using evictlab::test::ActingProcess;
using state::AnswerJournal;
namespace fs = std::filesystem;

namespace {

const std::vector<double> retentions{0.25, 0.5};

const Suite& small_suite() {
    static const Suite suite = test::small_micro();
    return suite;
}

const RescoreFitness& small_fitness() {
    static const RescoreFitness fitness(small_suite().search_traces(), retentions);
    return fitness;
}

RunSetup small_setup(std::uint32_t generations) {
    RunSetup setup;
    setup.config.start = "a start";
    setup.config.start_formula = formula::parse(
        "if(position < 4, keep, 0.6*recent_attn + 0.4*cumulative_attn*((position + 1)/sequence_len)^0.3 + "
        "0.2*max(0, 1 - relative_pos/128) + 0.001*key_norm - 0.001*key_norm*layer_ratio)");
    setup.config.seed = 4;
    setup.config.population = 30;
    setup.config.tuned = 1;
    setup.config.tuning_evaluations = 20;
    setup.identity = test::identity_on(small_suite());
    setup.limits.generations = generations;
    return setup;
}

/// A run beside the journals of what its judge and its proposer said. The acting judge finds short formulas good.
struct ExternalRun {
    ActingProcess judge{test::acting_judge}, proposer{test::acting_proposer};
    fs::path file = judge.folder / "run.json";
    std::string judge_manner = "is plain", proposer_manner; ///< "": there is none
    std::uint32_t verdict_tuning = 0;

    RunResult run(std::uint32_t generations) {
        RunSetup setup = small_setup(generations);
        const bool resumes = fs::exists(file);
        auto store = resumes ? state::RunStore::resume(file) : state::RunStore::create(file);
        auto verdicts = AnswerJournal::resume(file.string() + ".verdicts");
        auto proposals = AnswerJournal::resume(file.string() + ".proposals");
        External external;
        std::optional<VerdictJudge> asked;
        std::optional<Proposer> proposing;
        if (!judge_manner.empty()) {
            setup.config.asked_of_model = 3;
            setup.identity.judge_command = "an acting judge";
            setup.config.verdict_tuning = verdict_tuning;
            asked.emplace(JudgeOptions{judge.command(judge_manner), retentions, std::chrono::seconds(20)}, verdicts);
            if (!asked->lost().empty()) asked->forgive();
            external.judge = &*asked;
        }
        if (!proposer_manner.empty()) {
            setup.config.proposals = 7;
            setup.identity.proposer_command = "an acting proposer";
            proposing.emplace(ProposerOptions{proposer.command(proposer_manner), std::chrono::seconds(20)}, proposals);
            external.proposer = &*proposing;
            external.about.columns = {{"recent_attn", ""}, {"position", ""}};
        }
        return run_evolution(setup, small_fitness(), store, {}, external);
    }
    std::string saved() const { return test::saved_run(file); }
    std::vector<Candidate> candidates() const { return test::candidates_of(file); }
};

} // namespace

TEST_CASE("with a judge, who becomes champion is below the former one inside the model, on both splits") {
    ExternalRun run;
    const RunResult result = run.run(8);
    REQUIRE(result.state.champions.size() > 1);
    for (std::size_t i = 1; i < result.state.champions.size(); ++i) {
        const CandidateVerdict &own = *result.state.champions[i].verdict,
                               &before = *result.state.champions[i - 1].verdict;
        CHECK(own.train.average < before.train.average);
        CHECK(own.valid->average < before.valid->average); // the acting judge leaves nothing to chance
        // What the acting judge says: the length of the formula, "=" included, and of the document's name.
        const double length = double(result.state.champions[i].genome.text().size() + 1);
        CHECK(own.train.by_document == std::vector<std::vector<double>>{{(length + 6) / 0.25, (length + 6) / 0.5}});
        CHECK(own.valid->by_retention[0] == Approx(std::sqrt((length + 4) * (length + 5)) / 0.25));
    }
    const auto all = run.candidates();
    const auto vetoed = std::count_if(all.begin(), all.end(), [&](const Candidate& candidate) {
        return candidate.status == Status::accepted &&
               candidate.reason.find("of the champion's on 1 train documents") != std::string::npos;
    });
    CHECK(vetoed > 0); // better by error, worse inside the model
}

TEST_CASE("near the champion the model decides, whatever errors say, and without a judge errors do") {
    const auto near = [](ExternalRun& run) {
        auto all = run.candidates();
        std::erase_if(
            all, [](const Candidate& one) { return one.reason.find("where the model decides") == one.reason.npos; });
        return all;
    };
    ExternalRun judged, alone;
    judged.judge_manner = "likes small constants";
    const RunResult result = judged.run(8);
    bool promoted = false;
    for (const Candidate& candidate : near(judged)) {
        CHECK(candidate.status != Status::rejected);
        promoted = promoted || candidate.status == Status::champion;
        CHECK(candidate.valid);
    }
    CHECK(promoted);
    alone.judge_manner = "";
    alone.run(8);
    CHECK(near(alone).empty());
}

TEST_CASE("candidates are raced over train documents, and those that fall behind are asked no more") {
    ExternalRun run;
    run.judge_manner = "has many";
    run.verdict_tuning = 8;
    const RunResult result = run.run(4);
    const std::vector<std::string> train{"dorian", "carmilla", "persuasion", "ulysses", "villette"};
    REQUIRE(result.state.champions.size() > 2);
    for (const Candidate& champion : result.state.champions) { // whatever the order in which they were asked
        std::vector<double> expected;
        for (const std::string& document : train)
            expected.push_back(double(champion.genome.scorer_text().size() + document.size()) / 0.25);
        std::vector<double> said;
        for (const auto& figures : champion.verdict->train.by_document) said.push_back(figures.front());
        CHECK(said == expected);
    }
    const std::vector<std::string> log = run.judge.log();
    std::set<std::string> left_out; // of the first heats
    for (const Candidate& candidate : run.candidates()) {
        if (candidate.reason.find("of the champion's on 4 train documents") == std::string::npos) continue;
        std::vector<std::string> unasked = train;
        std::erase_if(unasked, [&](const std::string& document) {
            return std::ranges::find(log, candidate.genome.scorer_text() + " " + document) != log.end();
        });
        REQUIRE(unasked.size() == 1);
        left_out.insert(unasked.front());
    }
    CHECK(left_out.size() > 1); // no four documents decide in all generations
}

TEST_CASE("two verdicts are compared document by document") {
    const FormulaErrors one = summarise_verdict({{0.2, 0.4}, {0.1, 0.1}, {3, 1}}),
                        other = summarise_verdict({{0.1, 0.2}, {0.1, 0.1}, {1.5, 0.5}});
    CHECK(one.by_retention[0] == Approx(std::cbrt(0.06)));
    CHECK(one.average == Approx(std::pow(0.06 * 0.04, 1.0 / 6)));
    const PairedRatio ratio = paired_ratio(one, other);
    CHECK(ratio.ratio() == Approx(std::pow(2.0, 2.0 / 3)));
    CHECK(ratio.error == Approx(std::log(2.0) / 3)); // of ln 2, 0, ln 2
}

TEST_CASE("a stopped run asks the judge nothing twice and goes on to the same bits") {
    ExternalRun whole, stopped;
    whole.run(6);
    const auto asked = whole.judge.log();
    CHECK(std::set(asked.begin(), asked.end()).size() == asked.size());
    stopped.run(2);
    stopped.run(4);
    stopped.run(6);
    auto in_parts = stopped.judge.log();
    std::erase(in_parts, "start");
    CHECK(in_parts.size() == asked.size() - 1);
    CHECK(stopped.saved() == whole.saved());
    // A resume whose answers are all known starts no judge.
    stopped.judge_manner = "dies at once";
    stopped.run(6);
    CHECK(stopped.judge.log().empty());
}

TEST_CASE("the champion's constants are tuned by what the judge says, whatever offline errors say") {
    ExternalRun whole, stopped;
    for (ExternalRun* run : {&whole, &stopped}) {
        run->judge_manner = "likes small constants";
        run->verdict_tuning = 24;
    }
    const RunResult result = whole.run(3);
    const auto& champions = result.state.champions;
    std::size_t tuned = 0;
    for (std::size_t i = 1; i < champions.size(); ++i) {
        if (champions[i].op != "tune_constants_in_model") continue;
        ++tuned;
        CHECK(champions[i].slot == 31); // behind the offspring and the structure that was tuned offline
        CHECK(champions[i].parents == std::vector{champions[i - 1].id});
        CHECK(champions[i].genome.formula().constants().size() == champions[i - 1].genome.formula().constants().size());
        CHECK(champions[i].verdict->train.average < champions[i - 1].verdict->train.average);
        CHECK(champions[i].verdict->valid->average < champions[i - 1].verdict->valid->average);
    }
    CHECK(tuned > 0);
    const auto asked = whole.judge.log();
    CHECK(std::set(asked.begin(), asked.end()).size() == asked.size()); // nothing twice
    stopped.run(1);
    stopped.run(3);
    CHECK(stopped.saved() == whole.saved());
}

TEST_CASE(
    "a judge that is lost stops the run with its last generation saved, and a mended one goes on to the same bits") {
    ExternalRun whole, broken;
    whole.run(4);
    broken.run(1);
    broken.judge_manner = "dies at the third"; // and at the third after it was started again
    const RunResult result = broken.run(4);
    REQUIRE(!result.lost.empty());
    CHECK_THAT(result.lost, ContainsSubstring("exit"));
    CHECK(result.state.generation < 4);
    CHECK_THAT(read_run(broken.file).stop_reason, ContainsSubstring("judge: "));
    broken.judge_manner = "is plain";
    CHECK(broken.run(4).lost.empty());
    CHECK(broken.saved() == whole.saved());
}

TEST_CASE("a formula that the judge cannot judge is no champion, and a start that it cannot judge is an error") {
    ExternalRun run;
    run.judge_manner = "refuses";
    CHECK_THROWS_WITH(run.run(2), ContainsSubstring("the start formula: the judge could not tell: no such column"));
}

TEST_CASE("proposals are candidates like any other, and are asked for once a generation") {
    ExternalRun whole, stopped;
    for (ExternalRun* run : {&whole, &stopped}) {
        run->judge_manner = "";
        run->proposer_manner = "is plain";
    }
    const RunResult result = whole.run(3);
    const auto all = whole.candidates();
    std::vector<Candidate> proposed;
    std::copy_if(all.begin(), all.end(), std::back_inserter(proposed),
                 [](const Candidate& candidate) { return candidate.op == "proposer"; });
    REQUIRE(proposed.size() == 2); // of seven; then they are known
    CHECK(proposed[0].genome.text() == "recent_attn");
    CHECK_THAT(proposed[0].hypothesis, ContainsSubstring("what was read"));
    CHECK(proposed[0].parents == std::vector<std::string>{"g0-s0"});
    CHECK(proposed[0].slot == 31); // behind the bred and the tuned
    // The next request says what became of them.
    const auto requests = whole.proposer.log();
    REQUIRE(requests.size() == 4); // its start, and one a generation
    const auto second = Json::parse(requests[2]);
    std::vector<std::string> reasons;
    for (const auto& rejected : second["rejected"]) reasons.push_back(rejected["reason"]);
    CHECK(std::any_of(reasons.begin(), reasons.end(), [](const auto& reason) { return reason.find("train ") == 0; }));
    CHECK(std::any_of(reasons.begin(), reasons.end(),
                      [](const auto& reason) { return reason.find("key_norm") != std::string::npos; }));
    CHECK(result.state.proposal_outcomes.size() == 7);

    stopped.run(1);
    stopped.run(3);
    CHECK(stopped.saved() == whole.saved());
}

TEST_CASE("a proposer that dies, raves or refuses costs its own proposals alone") {
    ExternalRun alone;
    alone.judge_manner = "";
    alone.proposer_manner = "dies";
    const auto expected = alone.run(2).state.champion().id;
    for (const char* manner : {"dies at once", "raves", "refuses", "answers a text"}) {
        ExternalRun run;
        run.judge_manner = "";
        run.proposer_manner = manner;
        const RunResult result = run.run(2);
        INFO(manner);
        CHECK(result.state.generation == 2);
        CHECK(result.state.champion().id == expected);
    }
}
