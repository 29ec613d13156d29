// What becomes of a proposer's answers: candidates in slots of their own, refusals with reasons, and what the next
// request says of both. SPDX-License-Identifier: MIT
#include "evolution/proposed.hpp"

#include <fstream>
#include <nlohmann/json.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/made_search.hpp"
#include "tests/support/temporary_folder.hpp"

using namespace evictlab;
using namespace evictlab::evolution;
using test::made_candidate;

namespace {

const char* const script = R"py(
import json, sys
print(json.dumps({"protocol": "evictlab-proposer/1", "proposer": "a list"}), flush=True)
for line in sys.stdin:
    open(sys.argv[2], "w").write(line)
    request = json.loads(line)
    print(json.dumps({"id": request["id"], "proposals": json.load(open(sys.argv[1]))}), flush=True)
)py";

/// A proposer that answers with a list, and its last request.
struct ListProposer {
    test::TemporaryFolder folder;
    state::AnswerJournal journal = state::AnswerJournal::create(folder / "proposals");
    Proposer proposer;
    External external;

    explicit ListProposer(const nlohmann::json& proposals)
        : proposer({command(proposals), std::chrono::seconds(300)}, journal) {
        external.proposer = &proposer;
        for (const char* name : {"recent_attn", "key_norm", "layer_ratio"})
            external.about.columns.push_back({name, "help"});
        external.about.suite = "a suite";
        external.documents = {"emma", "dorian"};
    }
    Json request() const {
        std::ifstream file(folder / "request");
        return Json::parse(file);
    }

private:
    std::string command(const nlohmann::json& proposals) const {
        test::put(folder / "propose.py", script);
        test::put(folder / "list.json", proposals.dump());
        return "exec python3 '" + (folder / "propose.py").string() + "' '" + (folder / "list.json").string() + "' '" +
               (folder / "request").string() + "'";
    }
};

const StopSignal never;

RunState made_state() {
    RunState state;
    state.generation = 6;
    for (int i = 0; i < 11; ++i)
        state.champions.push_back(made_candidate("c" + std::to_string(i), "recent_attn^" + std::to_string(i + 2),
                                                 0.9 - 0.01 * i, 0.8 - 0.01 * i));
    state.champions.back().train.by_document = {{0.1, 0.2}, {0.3, 0.4}};
    state.proposal_outcomes = {{"g6-s1", "key_norm^2", "a guess", "worse"}};
    return state;
}

Seen tried() {
    Seen seen;
    seen.add(made_candidate("tried", "key_norm", 1, 1));
    return seen;
}

RunConfig made_config() {
    RunConfig config;
    config.population = 20;
    config.tuned = 3;
    config.proposals = 9;
    config.max_nodes = 5;
    return config;
}

} // namespace

TEST_CASE("proposals come behind offspring and tunings, are held against the champion, and bad ones cost themselves") {
    ListProposer list({{{"formula", "recent_attn*key_norm"}, {"hypothesis", "both count"}},
                       {{"formula", "key_norm"}, {"hypothesis", "known"}},
                       {{"formula", "layer_ratio*2"}, {"hypothesis", "ranks nothing"}},
                       {{"formula", "recent_attn + key_norm + layer_ratio + 2"}, {"hypothesis", "too large"}},
                       {{"formula", "key_norm*recent_attn"}, {"hypothesis", "the same again"}},
                       {{"formula", "position"}, {"hypothesis", "not offered"}},
                       {{"formula", "recent_attn - 2"}}});
    const Proposed made = proposals_for(made_state(), tried(), made_config(), list.external, never);
    CHECK(made.failure.empty());
    CHECK(made.duplicates == 2);
    REQUIRE(made.bred.size() == 2);
    const Bred& first = made.bred[0];
    CHECK(first.candidate.id == "g7-s23");
    CHECK(first.candidate.generation == 7);
    CHECK(first.candidate.slot == 23);
    CHECK(first.candidate.op == "proposer");
    CHECK(first.candidate.hypothesis == "both count");
    CHECK(first.candidate.parents == std::vector<std::string>{"c10"});
    CHECK(first.parent.train == Approx(0.8));
    CHECK(first.parent.nodes == 3);
    CHECK(first.island == 0);
    CHECK(first.tunings == 0);
    CHECK(made.bred[1].candidate.id == "g7-s29");
    CHECK(made.bred[1].candidate.hypothesis.empty());
    std::vector<std::string> refused;
    for (const ProposerRejection& each : made.refused)
        refused.push_back(each.id + " " + each.hypothesis + ": " + each.reason);
    CHECK(refused[0] == "g7-s24 known: was tried before");
    CHECK(refused[1] == "g7-s25 ranks nothing: gives all tokens of a row the same score");
    CHECK_THAT(refused[2], ContainsSubstring("g7-s26 too large: "));
    CHECK(refused[3] == "g7-s27 the same again: was tried before");
    CHECK(refused[4] == "g7-s28 not offered: reads the column position, which this run does not offer");
    CHECK(refused.size() == 5);
    CHECK(made.refused[0].formula == "key_norm");
}

TEST_CASE("a proposer that fails has proposed nothing, and why is told") {
    ListProposer list(nlohmann::json("no list"));
    const Proposed made = proposals_for(made_state(), tried(), made_config(), list.external, never);
    CHECK(made.failure == "the proposer answered without a list of proposals");
    CHECK(made.bred.empty());
    CHECK(made.refused.empty());
    CHECK(made.duplicates == 0);
}

TEST_CASE("a formula that its canonical form makes larger than allowed is refused by its size") {
    // x - y is x + -1 * y in canonical form, or whatever it is: the bound is on what is measured.
    const std::string text = "recent_attn - key_norm";
    const std::size_t written = formula::parse(text).size(), nodes = canonical(formula::parse(text)).size();
    const nlohmann::json one = nlohmann::json::array({{{"formula", text}}});
    ListProposer list(one);
    RunConfig config = made_config();
    config.max_nodes = static_cast<std::uint32_t>(nodes);
    CHECK(proposals_for(made_state(), tried(), config, list.external, never).bred.size() == 1);
    if (written < nodes) {
        ListProposer again(one);
        config.max_nodes = static_cast<std::uint32_t>(nodes - 1);
        CHECK_THAT(proposals_for(made_state(), tried(), config, again.external, never).refused.at(0).reason,
                   ContainsSubstring("nodes, more than"));
    }
}

TEST_CASE("a request shows the last eight champions with their errors by document, and what became of proposals") {
    ListProposer list(nlohmann::json::array());
    const Proposed made = proposals_for(made_state(), tried(), made_config(), list.external, never);
    CHECK(made.bred.empty());
    const Json request = list.request();
    CHECK(request.at("id") == 7);
    CHECK(request.at("generation") == 7);
    CHECK(request.at("wanted") == 9);
    CHECK(request.at("max_nodes") == 5);
    CHECK(request.at("suite") == "a suite");
    REQUIRE(request.at("champions").size() == 8);
    CHECK(request.at("champions")[0].at("id") == "c3");
    const Json& last = request.at("champions")[7];
    CHECK(last.at("id") == "c10");
    CHECK(last.at("formula") == made_state().champions.back().genome.text());
    CHECK(last.at("operator") == "by hand");
    CHECK(last.at("hypothesis") == "none");
    CHECK(last.at("train").get<double>() == Approx(0.8));
    CHECK(last.at("valid").get<double>() == Approx(0.7));
    CHECK(last.at("documents") == Json({{"emma", {0.1, 0.2}}, {"dorian", {0.3, 0.4}}}));
    CHECK(request.at("champions")[0].at("documents").empty());
    REQUIRE(request.at("rejected").size() == 1);
    CHECK(request.at("rejected")[0].at("reason") == "worse");
}

TEST_CASE("a request has its lists, also where there is nothing in them") {
    const Json request = to_json(ProposalRequest{});
    for (const char* list : {"retentions", "columns", "champions", "rejected"})
        CHECK(request.at(list) == Json::array());
    CHECK_FALSE(request.contains("id"));
}

TEST_CASE("with fewer champions than eight all are shown") {
    ListProposer list(nlohmann::json::array());
    RunState state = made_state();
    state.champions.erase(state.champions.begin(), state.champions.begin() + 9);
    proposals_for(state, tried(), made_config(), list.external, never);
    CHECK(list.request().at("champions").size() == 2);
    CHECK(list.request().at("champions")[0].at("id") == "c9");
}

TEST_CASE("more than was asked for is left out") {
    ListProposer list(nlohmann::json::array(
        {{{"formula", "recent_attn"}}, {{"formula", "recent_attn*2"}}, {{"formula", "recent_attn*3"}}}));
    RunConfig config = made_config();
    config.proposals = 2;
    CHECK(proposals_for(made_state(), tried(), config, list.external, never).bred.size() == 2);
}

TEST_CASE("what became of the proposals is told but for champions, behind those that were refused") {
    std::vector<Candidate> candidates{made_candidate("a", "recent_attn", 1, 1), made_candidate("b", "key_norm", 1, 1),
                                      made_candidate("c", "position", 1, 1), made_candidate("d", "layer_ratio", 1, 1)};
    for (std::size_t i = 0; i < 3; ++i) candidates[i].op = "proposer";
    candidates[1].status = Status::champion;
    candidates[2].status = Status::rejected;
    const auto outcomes = outcomes_of(candidates, {{"x", "text", "why", "refused"}});
    REQUIRE(outcomes.size() == 3);
    CHECK(test::ids_of(outcomes) == std::vector<std::string>{"x", "a", "c"});
    CHECK(outcomes[1].formula == "recent_attn");
    CHECK(outcomes[1].hypothesis == "none");
    CHECK(outcomes[1].reason == "made");
}
