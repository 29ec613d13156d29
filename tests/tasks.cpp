// The answers of a model: what is read of evictlab-tasks, how it is summed up, and what is refused.
// SPDX-License-Identifier: MIT
#include "report/tasks.hpp"

#include "base/statistics/wilson.hpp"
#include "report/leaderboard.hpp"
#include "tests/support/catch.hpp"

namespace evictlab::report {
namespace {

/// Two tasks, of which the model can do "facts" alone where the question is seen; `vt` has no span "answer".
Json tasks_json() {
    Json json{{"schema", "evictlab-tasks/1"}, {"model", "Tiny-1B"},
              {"protocol", "prefill"},        {"retentions", {0.5, 0.9}},
              {"cells", Json::array()},       {"documents", Json::array()},
              {"rows", Json::array()},        {"a field", "of a later version"}};
    const auto add = [&json](const std::string& task, const std::string& question, std::vector<double> full) {
        for (std::size_t i = 0; i < full.size(); ++i)
            json["documents"].push_back({{"name", task + std::to_string(i) + question},
                                         {"task", task},
                                         {"question", question},
                                         {"full", {{"right", full[i]}, {"told", "x"}, {"nll", 0.5}}}});
        json["cells"].push_back({{"task", task}, {"format", "RULER"}, {"question", question}, {"full", 0.0}});
    };
    add("facts", "unseen", {1, 1, 0, 1});
    add("facts", "seen", {1, 1});
    add("vt", "unseen", {0.8, 0.4});
    add("vt", "seen", {0.2, 0.4});
    json["cells"][3]["left_out"] = "the model gets 30 % right without eviction";
    const auto row = [&json](const std::string& scorer, double right) {
        Json made{{"scorer", scorer},
                  {"right", Json::array()},
                  {"answer_kl", Json::array()},
                  {"lost", Json::array()},
                  {"kept", {{"answer", Json::array()}}}};
        for (std::size_t d = 0; d < json["documents"].size(); ++d) {
            made["right"].push_back({d % 2 == 0 ? right : 0.0, right});
            made["answer_kl"].push_back({1 - right, d == 0 ? -1e-7 : 0.25});
            const bool has_answer = json["documents"][d]["task"] == "facts";
            made["lost"].push_back({has_answer ? Json(0.5) : Json(nullptr), has_answer ? Json(0.0) : Json(nullptr)});
            made["kept"]["answer"].push_back(made["lost"].back());
        }
        json["rows"].push_back(std::move(made));
    };
    row("snapkv@kvpress", 0.5);
    row("evolved@real", 1);
    row("oracle", 0.25);
    return json;
}

std::string refusal(const std::string& pointer, const Json& value) {
    Json json = tasks_json();
    json[Json::json_pointer(pointer)] = value;
    try {
        tasks_from_json(json, "t.json");
    } catch (const Error& error) {
        return error.what();
    }
    return "accepted";
}

} // namespace

TEST_CASE("a share's interval is Wilson's") {
    const Interval all = wilson(1, 20), none = wilson(0, 20), some = wilson(0.25, 8);
    CHECK(all.low == Approx(0.8389).margin(1e-4));
    CHECK(all.high == Approx(1));
    CHECK(none.low == Approx(0).margin(1e-12));
    CHECK(none.high == Approx(0.1611).margin(1e-4));
    CHECK(some.low == Approx(0.0715).margin(1e-4));
    CHECK(some.high == Approx(0.5907).margin(1e-4));
}

TEST_CASE("each task that the model can do counts the same, and kinds of questions are kept apart") {
    const Tasks tasks = tasks_from_json(tasks_json(), "t.json");
    REQUIRE(tasks.cells.size() == 4);
    CHECK(tasks.cells[0].full == Approx(0.75));
    const auto unseen = counted_cells(tasks, "unseen"), seen = counted_cells(tasks, "seen");
    REQUIRE(unseen.size() == 2);
    REQUIRE(seen.size() == 1);
    const TaskFigure figure = task_figure(tasks.rows[0], unseen, 0);
    CHECK(figure.right.value == Approx(0.25));
    CHECK(figure.answer_kl == Approx(0.5));
    CHECK(figure.lost == 0.5); // vt's prompt has no answer in it
    const Interval sure = wilson(0.25, 4 / (1 / 4.0 + 1 / 2.0));
    CHECK(figure.right.interval->low == Approx(sure.low));
    CHECK(figure.right.interval->high == Approx(sure.high));
    CHECK(task_figure(tasks.rows[0], seen, 1).right.value == Approx(0.5));
}

TEST_CASE("tasks stand behind leaderboards, best row first below the bound") {
    const std::vector<Tasks> tasks{tasks_from_json(tasks_json(), "t.json")};
    const std::string text = to_markdown({}, Detail::whole, {}, {}, tasks);
    CHECK_THAT(text, ContainsSubstring("# Leaderboard\n\n### The answers of `Tiny-1B`\n"));
    CHECK_THAT(text, ContainsSubstring("| facts | RULER | 75 % [30, 95] of 4 | 100 % [34, 100] of 2 |"));
    CHECK_THAT(text, ContainsSubstring("| vt | RULER | 60 % [13, 94] of 2 | 30 % [4, 83] of 2, left out |"));
    CHECK_THAT(text, ContainsSubstring("(question unseen: facts (4), vt (2); question seen: facts (2))"));
    CHECK_THAT(text, ContainsSubstring("| scorer | unseen 0.50 | unseen 0.90 | seen 0.50 | seen 0.90 |"));
    CHECK_THAT(text, ContainsSubstring("| `evolved@real` | 50 % [18, 82] | 100 % [58, 100] | 50 % [9, 91] | 100 % ["));
    const auto bound = text.find("| `oracle`"), best = text.find("| `evolved@real`"), last = text.find("| `snapkv");
    CHECK(bound < best);
    CHECK(best < last);
    CHECK_THAT(text, ContainsSubstring("**vt** (RULER): right, KL"));
    CHECK_THAT(text, ContainsSubstring("Kept of **answer**"));
    const std::string headline = to_markdown({}, Detail::headline, {}, {}, tasks);
    CHECK_THAT(headline, ContainsSubstring("### The answers of `Tiny-1B`"));
    CHECK(headline.find("**vt**") == std::string::npos);
    const Json json = tasks_to_json(tasks.front());
    CHECK(json["cells"][3]["left_out"] == "the model gets 30 % right without eviction");
    CHECK(json["rows"][1]["unseen"]["0.50"]["right"] == 0.5);
    CHECK(json["rows"][1]["seen"]["0.90"]["answer_kl"] == 0.25);
}

TEST_CASE("a model that can do no task has no means") {
    Json json = tasks_json();
    for (Json& cell : json["cells"]) cell["left_out"] = "why";
    const std::string text = tasks_to_markdown(tasks_from_json(json, "t.json"), Detail::brief);
    CHECK_THAT(text, ContainsSubstring("The model can do none of these tasks by itself."));
    CHECK(text.find("nan") == std::string::npos);
}

TEST_CASE("what is no result of tasks is refused with its place") {
    CHECK(refusal("/schema", "evictlab-verdict/1") == "t.json: schema: expected \"evictlab-tasks/1\", found "
                                                      "\"evictlab-verdict/1\": write it with `evictlab-tasks run`");
    CHECK_THAT(refusal("/rows/0/right/1/0", 1.5), ContainsSubstring("t.json: rows[0].right[1][0]: expected"));
    CHECK_THAT(refusal("/rows/0/answer_kl/1/0", -1), ContainsSubstring("rows[0].answer_kl[1][0]"));
    CHECK_THAT(refusal("/rows/0/lost/0", {0.5}), ContainsSubstring("rows[0].lost[0]: expected 2 values"));
    CHECK_THAT(refusal("/rows/1/scorer", "oracle"), ContainsSubstring("a second row for the scorer \"oracle\""));
    CHECK_THAT(refusal("/rows/0/kept/answer", Json::array()), ContainsSubstring("expected 10 lists, one a document"));
    CHECK_THAT(refusal("/documents/1/name", "facts0unseen"), ContainsSubstring("a second document"));
    CHECK_THAT(refusal("/documents/0/question", "half"), ContainsSubstring("documents[0].question"));
    CHECK_THAT(refusal("/documents/0/task", "fwe"), ContainsSubstring("has no cell"));
    CHECK_THAT(refusal("/cells/1/question", "unseen"), ContainsSubstring("a second cell"));
    CHECK_THAT(refusal("/cells/1/task", "fwe"), ContainsSubstring("no document is of this task"));
    CHECK_THAT(refusal("/rows", Json::array()), ContainsSubstring("expected at least one row"));
}

} // namespace evictlab::report
