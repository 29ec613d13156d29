// The proposer's client: whatever the other side does costs its own proposals and nothing else.
// SPDX-License-Identifier: MIT
#include <algorithm>
#include <atomic>

#include "evolution/external/proposer.hpp"
#include "tests/support/acting_process.hpp"
#include "tests/support/catch.hpp"

using namespace evictlab;
using namespace evictlab::evolution;
using namespace std::chrono_literals;
using evictlab::test::ActingProcess;
using state::AnswerJournal;

namespace {

ProposalRequest request_of(std::uint32_t generation) {
    ProposalRequest request;
    request.generation = generation;
    request.wanted = 7;
    request.suite = "micro";
    request.measure = "output_error";
    request.retentions = {0.5};
    request.columns = {{"recent_attn", "what was read lately"}, {"position", "where it is"}};
    request.champions = {{"g3-s7", "recent_attn", "why", "start", 0.5, 0.6, {{"micro/train/0", {0.5}}}}};
    request.rejected = {{"g2-s1", "position", "old is good", "train 1 is not below its parent's 0.5"}};
    return request;
}

/// An acting proposer, and the journal of a run.
struct ProposingRun {
    ActingProcess process{test::acting_proposer};
    AnswerJournal journal = AnswerJournal::resume(process.folder / "run.exchanges");

    Proposer proposer(const std::string& manner, std::chrono::milliseconds timeout = 60s) {
        return Proposer({process.command(manner), timeout}, journal);
    }
    std::size_t starts() const {
        const auto log = process.log();
        return static_cast<std::size_t>(std::count(log.begin(), log.end(), "start"));
    }
};

} // namespace

TEST_CASE("The proposer gets the whole request, and a bad formula costs only itself") {
    ProposingRun run;
    const Proposals answer = run.proposer("is plain").propose(request_of(4), {});
    CHECK(answer.failure == "");
    CHECK(answer.proposer == "an\\x07 actor");
    REQUIRE(answer.proposals.size() == 7); // of eight, as 7 were wanted

    REQUIRE(answer.proposals[0].formula);
    CHECK(print(*answer.proposals[0].formula) == "recent_attn");
    CHECK_THAT(answer.proposals[0].hypothesis, ContainsSubstring("what was read\\x1b[31m will be read xxx"));
    CHECK(answer.proposals[0].hypothesis.size() == 500);
    const auto rejected = [&](std::size_t i, const std::string& reason) {
        CHECK(!answer.proposals[i].formula);
        CHECK_THAT(answer.proposals[i].reason, ContainsSubstring(reason));
        CHECK(answer.proposals[i].reason.find('\n') == std::string::npos);
    };
    rejected(1, "formula, line 1, column 15: a value is missing");
    CHECK(answer.proposals[1].text == "recent_attn +");
    CHECK(answer.proposals[1].hypothesis == "cut off");
    rejected(2, "reads the column key_norm, which this run does not offer");
    rejected(3, "more than 60 nodes");
    rejected(4, "the answer: proposals[4].formula: expected a text");
    rejected(5, "proposals[5]: expected an object");
    REQUIRE(answer.proposals[6].formula);
    CHECK(answer.proposals[6].hypothesis == "");

    const auto log = run.process.log();
    REQUIRE(log.size() == 2);
    const Json sent = Json::parse(log[1]);
    CHECK(sent.at("id") == 4);
    CHECK(sent.at("wanted") == 7);
    CHECK(sent.at("max_nodes") == 60);
    CHECK(sent.at("columns").at(1).at("name") == "position");
    CHECK(sent.at("champions").at(0).at("operator") == "start");
    CHECK(sent.at("champions").at(0).at("documents").at("micro/train/0") == Json::array({0.5}));
    CHECK(sent.at("rejected").at(0).at("reason") == "train 1 is not below its parent's 0.5");
}

TEST_CASE("What a proposer said, or that it failed, is the same on resume, and nothing is asked") {
    const auto [manner, failure] = GENERATE(table<std::string, std::string>({
        {"is plain", ""},
        {"chats", ""},
        {"refuses", "the proposer says: out of credit"},
        {"answers a text", "the proposer answered without a list of proposals"},
        {"dies at once", "the proposer ended with exit status 7"},
        {"dies", "the proposer ended with exit status 0"},
        {"hangs", "the proposer was silent for 2 s"},
        {"raves", "the proposer wrote 16 lines that are no answer"},
    }));
    ProposingRun run;
    const Proposals first = run.proposer(manner, manner == "hangs" ? 2s : 60s).propose(request_of(5), {});
    CHECK(first.failure == failure);
    run.process.log();

    run.journal = AnswerJournal::resume(run.process.folder / "run.exchanges");
    const Proposals again = run.proposer("dies at once").propose(request_of(5), {});
    CHECK(run.starts() == 0);
    CHECK(again.failure == first.failure);
    CHECK(again.proposer == first.proposer);
    REQUIRE(again.proposals.size() == first.proposals.size());
    for (std::size_t i = 0; i < again.proposals.size(); ++i) {
        CHECK(again.proposals[i].text == first.proposals[i].text);
        CHECK(again.proposals[i].formula == first.proposals[i].formula);
        CHECK(again.proposals[i].hypothesis == first.proposals[i].hypothesis);
        CHECK(again.proposals[i].reason == first.proposals[i].reason);
    }
}

TEST_CASE("Lines of garbage before an answer are rejected proposals of their own") {
    ProposingRun run;
    const Proposals answer = run.proposer("chats").propose(request_of(5), {});
    REQUIRE(answer.proposals.size() == 9);
    CHECK(answer.proposals[0].text == "Here are some formulas:");
    CHECK(answer.proposals[0].reason == "a line that is no answer to the request");
    CHECK(answer.proposals[1].text == "{\"id\": 4}");
    CHECK(answer.proposals[2].formula);
}

TEST_CASE("One process serves many generations; one that fails is started again three times at most") {
    ProposingRun run;
    Proposer steady = run.proposer("is plain");
    for (std::uint32_t generation = 1; generation <= 6; ++generation)
        CHECK(steady.propose(request_of(generation), {}).failure == "");
    CHECK(run.starts() == 1);

    Proposer failing = run.proposer("dies");
    std::string last;
    for (std::uint32_t generation = 11; generation <= 16; ++generation)
        last = failing.propose(request_of(generation), {}).failure;
    CHECK(run.starts() == 4);
    CHECK(last == "the proposer failed too often and is not started again");
}

TEST_CASE("How often a proposer is started again is the run's to count, not the process's") {
    ProposingRun alone, stopped;
    Proposer failing = alone.proposer("dies");
    for (std::uint32_t generation = 1; generation <= 8; ++generation) {
        const std::string left_alone = failing.propose(request_of(generation), {}).failure;
        const std::string resumed = stopped.proposer("dies").propose(request_of(generation), {}).failure;
        CHECK(resumed == left_alone);
    }
    CHECK(alone.starts() == 4);
    CHECK(stopped.starts() == 4);
    Proposer named_anew({stopped.process.command("is plain"), 60s, true}, stopped.journal);
    CHECK(named_anew.propose(request_of(9), {}).failure == "");
    CHECK(stopped.proposer("is plain").propose(request_of(10), {}).failure == "");
}

TEST_CASE("A reason names the first column that is not offered, whatever this process named before") {
    columns::intern("window_attn:31");
    columns::intern("window_attn:30");
    ProposingRun run;
    run.journal.remember(R"(["proposals",5])", Json::parse(R"({"proposer": "a file", "garbage": [], "proposals":
                                         [{"formula": "window_attn:30 + window_attn:31", "hypothesis": ""}]})"));
    CHECK_THAT(run.proposer("is plain").propose(request_of(5), {}).proposals.at(0).reason,
               ContainsSubstring("reads the column window_attn:30,"));
}

TEST_CASE("A stop while a proposer thinks leaves its generation open") {
    ProposingRun run;
    const std::atomic<bool> flag = true;
    Proposer proposer = run.proposer("hangs");
    CHECK_THROWS_AS(proposer.propose(request_of(5), StopSignal(&flag)), Interrupted);
    CHECK(run.journal.size() == 0);
    CHECK(run.proposer("is plain").propose(request_of(5), {}).failure == "");
}
