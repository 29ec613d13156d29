// The last gate of a run with a judge, on tables of divergences: who is asked about, in which order and how far, and
// who is promoted at, just below and just above each threshold. SPDX-License-Identifier: MIT
#include "evolution/model_gate.hpp"

#include <cmath>

#include "evolution/model_tuning.hpp"
#include "evolution/tuning.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/made_search.hpp"
#include "tests/support/table_judge.hpp"

using namespace evictlab;
using namespace evictlab::evolution;
using test::made_candidate;
using test::TableJudge;

namespace {

using Lines = std::vector<std::string>;

const StopSignal never;

Candidate child(const std::string& text, double train, double valid, std::uint32_t slot,
                const std::string& parent = "") {
    Candidate made = made_candidate("g3-s" + std::to_string(slot), text, train, valid);
    made.generation = 3;
    made.slot = slot;
    if (!parent.empty()) made.parents = {"other", parent};
    return made;
}

/// A state whose champion is `recent_attn`, judged.
RunState judged_state(VerdictJudge& judge) {
    RunState state;
    state.champions = {made_candidate("start", "recent_attn", 0.5, 0.5)};
    state.champions[0].status = Status::champion;
    ModelGate(judge, never).judge_start(state.champions[0]);
    return state;
}

/// The scorers that were asked about on a document, in order, and the documents about a scorer.
Lines asked_on(const TableJudge& table, const std::string& document) {
    Lines asked;
    for (const std::string& line : table.log())
        if (line.substr(line.rfind(' ') + 1) == document) asked.push_back(line.substr(0, line.rfind(' ')));
    return asked;
}
Lines asked_about(const TableJudge& table, const std::string& scorer) {
    Lines asked;
    for (const std::string& line : table.log())
        if (line.substr(0, line.rfind(' ')) == scorer) asked.push_back(line.substr(line.rfind(' ') + 1));
    return asked;
}

} // namespace

TEST_CASE("a verdict is summed up by geometric means, in which a document counts as any other") {
    const FormulaErrors verdict = summarise_verdict({{1, 4}, {4, 16}});
    CHECK(verdict.by_retention[0] == Approx(2));
    CHECK(verdict.by_retention[1] == Approx(8));
    CHECK(verdict.average == Approx(4));
    CHECK(verdict.by_document == std::vector<std::vector<double>>{{1, 4}, {4, 16}});
}

TEST_CASE("verdicts are compared by the mean logarithm of their ratio, with its standard error over documents") {
    // Logarithms of the ratios, averaged over retentions: ln 2 and ln 8, so ln 4 and half of ln 4.
    const FormulaErrors other = summarise_verdict({{1, 1}, {3, 5}}), own = summarise_verdict({{1, 4}, {24, 40}});
    const PairedRatio ratio = paired_ratio(own, other);
    CHECK(ratio.mean_log == Approx(std::log(4.0)));
    CHECK(ratio.ratio() == Approx(4));
    CHECK(ratio.error == Approx(std::log(2.0)));
    const PairedRatio back = paired_ratio(other, own);
    CHECK(back.mean_log == Approx(-ratio.mean_log));
    CHECK(back.error == Approx(ratio.error));
    const PairedRatio one = paired_ratio(summarise_verdict({{2, 2}}), summarise_verdict({{1, 1}}));
    CHECK(one.ratio() == Approx(2));
    CHECK(one.error == 0);
    // Three of ln 1, ln 2, ln 4: a spread of ln 2 over the root of three.
    const PairedRatio three = paired_ratio(summarise_verdict({{1}, {2}, {4}}), summarise_verdict({{1}, {1}, {1}}));
    CHECK(three.error == Approx(std::log(2.0) / std::sqrt(3.0)));
    CHECK_THROWS_WITH(paired_ratio(own, summarise_verdict({{1, 1}})),
                      ContainsSubstring("a saved verdict is of 1 documents, but the judge's are 2"));
}

TEST_CASE("the start is judged on the documents of both splits") {
    TableJudge table;
    table.documents = {{"v0", "valid"}, {"d0", "train"}, {"d1", "train"}};
    table.base = {{"d1", 4}, {"v0", 9}};
    table.kl = {{"=recent_attn", {{"", 2}}}};
    const RunState state = judged_state(table.open());
    const CandidateVerdict& verdict = *state.champion().verdict;
    CHECK(verdict.train.by_document == std::vector<std::vector<double>>{{4, 8}, {16, 32}});
    CHECK(verdict.train.average == Approx(std::pow(4.0 * 8 * 16 * 32, 0.25)));
    CHECK(verdict.valid->by_document == std::vector<std::vector<double>>{{36, 72}});
    table.kl.clear();
    CHECK_THROWS_WITH(judged_state(table.open()),
                      ContainsSubstring("the start formula: the judge could not tell: not in the table"));
    table.documents = {{"d0", "train"}};
    table.kl = {{"=recent_attn", {{"", 2}}}};
    CHECK_THROWS_WITH(judged_state(table.open()), ContainsSubstring("the judge has no documents of the split valid"));
}

TEST_CASE("asked about are the proposer's, then the champion's offspring by slot, then the best by train error") {
    const double most = 1.05 * 0.5;
    std::vector<Candidate> candidates{
        child("2*recent_attn", 0.40, 0.5, 1),          child("3*recent_attn", 0.30, 0.5, 2),
        child("4*recent_attn", 0.45, 0.5, 5, "start"), child("5*recent_attn", 0.20, 0.5, 9, "start"),
        child("6*recent_attn", 0.10, 0.5, 0),          child("7*recent_attn", 0.50, 0.5, 40),
        child("8*recent_attn", 0.49, 0.5, 39),         child("9*recent_attn", most, most, 3),
        child("10*recent_attn", 0.4, 0.5, 0),          child("11*recent_attn", 0.5251, 0.1, 6),
        child("12*recent_attn", 0.1, 0.5251, 6),       child("13*recent_attn", 0.01, 0.01, 3),
        child("14*recent_attn", 0.01, 0.01, 4),        child("15*recent_attn", 0.01, 0.01, 4)};
    candidates[5].op = candidates[6].op = "proposer";
    candidates[11].status = Status::rejected;
    candidates[12].valid.reset();
    candidates[13].status = Status::champion;
    TableJudge table;
    table.kl = {{"=recent_attn", {{"", 1}}}};
    for (const Candidate& one : candidates) table.kl[one.genome.scorer_text()] = {{"", 2}};
    Lines in_turn;
    for (const std::size_t i : {6, 5, 2, 3, 4, 1, 8, 0, 7}) in_turn.push_back(candidates[i].genome.scorer_text());
    for (const std::size_t count : {0, 1, 2, 3, 5, 9, 20}) {
        VerdictJudge& judge = table.open();
        RunState state = judged_state(judge);
        std::vector<Candidate> judged = candidates;
        ModelGate(judge, never).judge(state, judged, count);
        Lines expected{"=recent_attn"};
        for (std::size_t i = 0; i < std::min(count, in_turn.size()); ++i) expected.push_back(in_turn[i]);
        CHECK(asked_on(table, "d0") == expected);
        CHECK(state.champions.size() == 1);
        CHECK(
            judged[6].reason ==
            (count == 0 ? "made" : "made; the model's KL divergence is 2.000 of the champion's on 1 train documents"));
    }
}

TEST_CASE("candidates are raced in heats of four documents, which begin at others in each generation") {
    TableJudge table;
    table.documents = {{"v0", "valid"}};
    for (const char* name : {"d0", "d1", "d2", "d3", "d4", "d5"}) table.documents.emplace_back(name, "train");
    table.base = {{"d0", 1}, {"d1", 2}, {"d2", 3}, {"d3", 4}, {"d4", 5}, {"d5", 6}};
    std::vector<Candidate> candidates;
    const auto add = [&](double first_heat, double second_heat, const std::string& text) {
        candidates.push_back(child(text, 0.4, 0.4, static_cast<std::uint32_t>(candidates.size())));
        candidates.back().generation = 2; // 2 * 4 = 8: begins at the third of six
        table.kl[candidates.back().genome.scorer_text()] = {
            {"d2", first_heat},  {"d3", first_heat},  {"d4", first_heat}, {"d5", first_heat},
            {"d0", second_heat}, {"d1", second_heat}, {"v0", 5}};
    };
    table.kl = {{"=recent_attn", {{"", 1}}}};
    add(std::exp(0.0499), std::exp(-0.2), "2*recent_attn"); // what a heat forgives, and better in the end
    add(std::exp(0.0501), std::exp(-9), "3*recent_attn");   // more than it forgives
    add(1, 1, "4*recent_attn");                             // as good is not better
    add(std::exp(-0.01), std::exp(0.0199), "5*recent_attn");
    add(std::exp(-0.01), std::exp(0.0201), "6*recent_attn");
    const std::string known = candidates[1].genome.scorer_text();
    table.kl[known].erase("d1");
    add(0.5, 1, "7*recent_attn");
    table.kl[candidates[5].genome.scorer_text()].erase("d4"); // which the judge cannot tell of
    VerdictJudge& judge = table.open();
    RunState state = judged_state(judge);
    ModelGate(judge, never).judge(state, candidates, 9);
    const auto documents = [&](std::size_t i) { return asked_about(table, candidates[i].genome.scorer_text()); };
    const Lines heat{"d2", "d3", "d4", "d5"}, all{"d2", "d3", "d4", "d5", "d0", "d1"};
    const Lines all_and_valid{"d2", "d3", "d4", "d5", "d0", "d1", "v0"};
    CHECK(documents(0) == all_and_valid);
    CHECK(documents(1) == heat);
    CHECK(documents(2) == all);
    CHECK(documents(3) == all_and_valid);
    CHECK(documents(4) == all);
    CHECK(documents(5) == heat);
    CHECK(candidates[1].reason == "made; the model's KL divergence is 1.051 of the champion's on 4 train documents");
    CHECK(candidates[2].reason == "made; the model's KL divergence is 1.000 of the champion's on 6 train documents");
    CHECK(candidates[5].reason == "made; the judge could not tell: not in the table");
    for (const std::size_t i : {1, 2, 4, 5}) CHECK_FALSE(candidates[i].verdict);
    // Verdicts are in the judge's order of documents, whatever the race's was.
    CHECK(candidates[0].verdict->train.by_document == table.said(candidates[0].genome.scorer_text(), "train"));
    CHECK(candidates[0].verdict->valid->by_document == table.said(candidates[0].genome.scorer_text(), "valid"));
    CHECK(state.champions.size() == 1); // all of them are far worse on valid
}

TEST_CASE("promoted is who is better on train, on all documents, and on valid or within chance of the best there") {
    struct Case {
        double train, v0, v1;
        bool promoted;
    };
    const Case cases[] = {
        {0.5, 0.5, 0.5, true},     // better everywhere
        {0.5, 1.9, 0.99, true},    // worse in the mean on valid, but not by more than chance: and 0.94 of all
        {0.5, 1.9, 1.01, false},   // worse on both
        {0.5, 1.1, 1.1, false},    // worse by 10 % without any spread
        {0.5, 4, 0.9, false},      // chance would forgive it, but all documents are against it
        {0.99, 1.05, 0.97, false}, // so they are if each document counts the same
        {0.99, 1.05, 0.96, true},  {0.999, 1, 1, true}, {1.001, 0.1, 0.1, false}, // worse on train
    };
    for (const Case& one : cases) {
        INFO(one.train << " " << one.v0 << " " << one.v1);
        TableJudge table;
        table.documents = {{"d0", "train"}, {"v0", "valid"}, {"v1", "valid"}};
        table.kl = {{"=recent_attn", {{"", 1}}}};
        Candidate candidate = child("2*recent_attn", 0.9, 0.9, 7);
        table.kl[candidate.genome.scorer_text()] = {{"d0", one.train}, {"v0", one.v0}, {"v1", one.v1}};
        VerdictJudge& judge = table.open();
        RunState state = judged_state(judge);
        ModelGate(judge, never).judge(state, candidate);
        CHECK((candidate.status == Status::champion) == one.promoted);
        CHECK(state.champions.size() == (one.promoted ? 2 : 1));
        CHECK(state.last_champion_generation == (one.promoted ? 3 : 0));
        if (one.promoted) CHECK(state.champion().reason == candidate.reason);
        if (one.train == 0.5 && one.v0 == 1.9 && one.v1 == 0.99) // 0.5 * 1.9 * 0.99 = 0.9405
            CHECK(
                candidate.reason ==
                "made; the model's KL divergence is 0.500 of the champion's on train, 1.371 on valid and 0.980 on all "
                "documents, and on valid 1.371 (chance: 1.385) of the best");
    }
}

TEST_CASE("what chance forgives does not add up: valid is held against the best that a champion had there") {
    TableJudge table;
    table.documents = {{"d0", "train"}, {"v0", "valid"}, {"v1", "valid"}};
    Candidate lucky = child("2*recent_attn", 0.4, 0.4, 1), next = child("3*recent_attn", 0.4, 0.4, 2),
              third = child("4*recent_attn", 0.4, 0.4, 3);
    table.kl = {{"=recent_attn", {{"", 1}}},
                {lucky.genome.scorer_text(), {{"d0", 0.5}, {"v0", 1.5}, {"v1", 0.99}}},
                {next.genome.scorer_text(), {{"d0", 0.25}, {"v0", 1.49}, {"v1", 1.01}}},
                {third.genome.scorer_text(), {{"d0", 0.3}, {"v0", 1.6}, {"v1", 0.98}}}};
    VerdictJudge& judge = table.open();
    RunState state = judged_state(judge);
    ModelGate gate(judge, never);
    gate.judge(state, lucky);
    REQUIRE(lucky.status == Status::champion);
    gate.judge(state, next); // within chance of the lucky one, but not of the start
    CHECK(next.status == Status::accepted);
    CHECK(state.champions.size() == 2);
    gate.judge(state, third);
    CHECK(third.status == Status::champion);
    CHECK_THAT(third.reason, ContainsSubstring("is 0.600 of the champion's on train")); // the lucky one's
}

TEST_CASE("candidates of a generation are held against the champion that those before them left") {
    TableJudge table;
    std::vector<Candidate> candidates{child("2*recent_attn", 0.1, 0.4, 1), child("3*recent_attn", 0.2, 0.4, 2),
                                      child("4*recent_attn", 0.3, 0.4, 3)};
    table.kl = {{"=recent_attn", {{"", 1}}},
                {candidates[0].genome.scorer_text(), {{"", 0.5}}},
                {candidates[1].genome.scorer_text(), {{"", 0.75}}},
                {candidates[2].genome.scorer_text(), {{"", 0.25}}}};
    VerdictJudge& judge = table.open();
    RunState state = judged_state(judge);
    ModelGate(judge, never).judge(state, candidates, 3);
    CHECK(test::ids_of(state.champions) == Lines{"start", "g3-s1", "g3-s3"});
    CHECK(candidates[1].status == Status::accepted);
    CHECK_THAT(candidates[1].reason, ContainsSubstring("is 1.500 of the champion's on train, 1.500 on valid"));
}

TEST_CASE("a tuner's ratio is of all documents where it is below 1, else of the heats that it took") {
    TableJudge table;
    table.documents = {{"v0", "valid"}};
    for (const char* name : {"d0", "d1", "d2", "d3", "d4", "d5"}) table.documents.emplace_back(name, "train");
    table.kl = {{"=recent_attn", {{"", 2}}},
                {"=better", {{"", 1}}},
                {"=worse", {{"", 3}}},
                {"=alike", {{"", 2}}},
                {"=late", {{"d0", 1.8}, {"d1", 1.8}, {"d2", 1.8}, {"d3", 1.8}, {"", 4}}}};
    VerdictJudge& judge = table.open();
    const RunState state = judged_state(judge);
    ModelGate gate(judge, never);
    const FormulaErrors& champion = state.champion().verdict->train;
    CHECK(gate.raced_ratio("=better", champion, 0) == Approx(0.5));
    CHECK(asked_about(table, "=better") == Lines{"d0", "d1", "d2", "d3", "d4", "d5"});
    CHECK(gate.raced_ratio("=worse", champion, 1) == Approx(1.5));
    CHECK(asked_about(table, "=worse") == Lines{"d4", "d5", "d0", "d1"});
    CHECK(gate.raced_ratio("=alike", champion, 3) == 1);
    CHECK(asked_about(table, "=alike").size() == 6);
    CHECK(gate.raced_ratio("=late", champion, 0) == Approx(std::pow(0.9 * 0.9 * 0.9 * 0.9 * 2 * 2, 1.0 / 6)));
    CHECK(gate.raced_ratio("=unknown", champion, 0) == 10);
}

TEST_CASE("the champion's constants are tuned by the judge's word, in the stream of their slot") {
    TableJudge table;
    table.goal = 5; // of the first number in a scorer's text
    table.kl = {};
    VerdictJudge& judge = table.open();
    RunState state;
    state.champions = {made_candidate("start", "2*recent_attn", 0.5, 0.5)};
    ModelGate gate(judge, never);
    gate.judge_start(state.champions[0]);
    Member champion = test::made_member("2*recent_attn", 0.5);
    champion.id = "start";
    RunConfig config;
    config.seed = 9;
    config.verdict_tuning = 60;
    std::uint64_t evaluations = 1000;
    const auto tuned = tune_in_model(champion, state.champion().verdict->train, config, gate, 4, 88, evaluations);
    REQUIRE(tuned);
    CHECK(tuned->id == "g4-s88");
    CHECK(tuned->op == "tune_constants_in_model");
    CHECK(tuned->parents == Lines{"start"});
    CHECK(std::abs(tuned->genome.formula().constants().front() - 5) < 1);
    CHECK(evaluations >= 1060);
    CHECK(evaluations < 1080);
    CHECK(tuned->hypothesis == "its constants were not at their best: 1 of 1 moved by CMA-ES in " +
                                   std::to_string(evaluations - 1000) + " evaluations, each judged inside the model");
    // The stream: the seed of CMA-ES, then the first step.
    Rng rng(9, 4, 88, Purpose::verdict_tuning);
    TuningOptions options;
    options.seed = rng.next();
    options.evaluations = 60;
    options.step = rng.chance(0.3) ? 0.4 : 0.15;
    const auto again =
        tune_constants(champion.genome.formula().constants(), 1, options,
                       [](std::span<const double> values) { return (std::abs(values[0] - 5) + 0.1) / 3.1; });
    CHECK(tuned->genome.formula().constants() == again.values);

    // What is at its best already is left alone, and what was tried is counted.
    const Member best = test::made_member("5*recent_attn", 0.5);
    state.champions = {made_candidate("start", "5*recent_attn", 0.5, 0.5)};
    gate.judge_start(state.champions[0]);
    evaluations = 0;
    CHECK_FALSE(tune_in_model(best, state.champion().verdict->train, config, gate, 4, 88, evaluations));
    CHECK(evaluations > 0);
}
