// When the protocol decode cuts its caches: each schedule held to the slow judge, and told in results.
// SPDX-License-Identifier: MIT
#include "framework/protocols/cut_schedule.hpp"

#include <fmt/format.h>

#include <fstream>

#include "base/json/json_field.hpp"
#include "framework/bench/scorecard.hpp"
#include "framework/capture/captured_suite.hpp"
#include "report/bench_json.hpp"
#include "report/bench_table.hpp"
#include "report/ranking.hpp"
#include "report/shape.hpp"
#include "report/shown_split.hpp"
#include "tests/support/captured_reference.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/temporary_folder.hpp"
#include "tests/support/trace_writer.hpp"
#include "tests/support/written_suite.hpp"

using namespace evictlab;
using namespace evictlab::test;

namespace {

constexpr double agreement = 2e-5; // of single precision with double, relative
constexpr std::size_t prompt = 49, end = 61, heads = 2;
const std::vector<double> retentions{0.25, 0.5};

bool close(double a, double b) { return std::abs(a - b) <= agreement * std::max(std::abs(b), 1e-3); }

std::size_t capacity_at(double retention) { return static_cast<std::size_t>(double{prompt} * retention); }

Scorer formula_scorer(const std::string& text) { return Scorer::from_formula(text, formula::parse(text)); }

Bench bench(const Suite& suite, const std::vector<std::string>& formulas, const std::string& schedule,
            std::size_t bin = 0) {
    std::vector<Scorer> scorers;
    for (const auto& text : formulas) scorers.push_back(formula_scorer(text));
    BenchOptions options;
    options.protocol = "decode";
    options.retentions = retentions;
    options.schedule = parse_schedule(schedule);
    options.bin = bin;
    return run_bench(suite, scorers, options);
}

/// One document of two layers whose continuation has answers that end at these positions.
struct Answered {
    TemporaryFolder folder;
    Suite suite;
    explicit Answered(const std::vector<std::size_t>& ends) : suite(open(ends)) {}

private:
    Suite open(const std::vector<std::size_t>& ends) {
        write_suite(folder.path, small_traces({"train"}), 14);
        const std::filesystem::path file = folder.path / "suite.json";
        Json json = parse_json(read_text(file, 1 << 20), file.string());
        json["files"][0]["uncompressed"] = {{"nll", 2.5}, {"lookups", Json::array()}};
        for (const std::size_t at : ends)
            json["files"][0]["uncompressed"]["lookups"].push_back({{"tokens", {at - 1, at + 1}}, {"right", true}});
        std::ofstream(file) << json.dump();
        return open_captured_suite(folder.path);
    }
};

struct Case {
    const char* name;
    std::function<SlowSchedule(std::size_t capacity)> slow;
};

const std::vector<Case>& cases() {
    static const std::vector<Case> all{
        {"every:1", [](std::size_t) { return slow_every(1); }},
        {"every:5", [](std::size_t) { return slow_every(5); }},
        {"slack:4",
         [](std::size_t capacity) {
             return SlowSchedule{[capacity](std::size_t, std::size_t cached) { return cached >= capacity + 4; }};
         }},
        {"decoding_press:5",
         [](std::size_t) {
             SlowSchedule schedule = slow_every(5);
             schedule.cuts_prompt = false;
             return schedule;
         }},
        {"once", [](std::size_t) { return SlowSchedule{[](std::size_t, std::size_t) { return false; }}; }},
        {"turns",
         [](std::size_t) {
             return SlowSchedule{[](std::size_t step, std::size_t) { return step == 3 || step == 8; }};
         }},
    };
    return all;
}

} // namespace

TEST_CASE("each schedule cuts when it says") {
    const auto cuts = [](const char* text, std::size_t cached = 100) {
        std::vector<std::size_t> steps;
        for (std::size_t step = 0; step < 6; ++step)
            if (parse_schedule(text).due(step, cached, 90, step == 1 || step == 4)) steps.push_back(step);
        return steps;
    };
    using Steps = std::vector<std::size_t>;
    for (const char* each : {"every", "tova", "h2o"}) CHECK(cuts(each) == Steps{0, 1, 2, 3, 4, 5});
    for (const char* third : {"every:3", "decoding_press:3"}) CHECK(cuts(third) == Steps{2, 5});
    CHECK(cuts("slack:10").size() == 6);
    CHECK(cuts("slack:11").empty());
    CHECK(cuts("once").empty());
    CHECK(cuts("turns") == Steps{1, 4});
    CHECK(to_string(parse_schedule("rkv")) == "every:128");
    CHECK(to_string(parse_schedule("triattention")) == "slack:128");
    CHECK(to_string(parse_schedule("decoding_press")) == "decoding_press:512");
    CHECK(parse_schedule("every:1").usual());
    for (const char* wrong : {"often", "every:0", "every:x", "once:3", "every:", "every:-1", "turns:2", "every:+1", "",
                              "every:1000001", "every:99999999999999999999"})
        CHECK_THROWS_WITH(parse_schedule(wrong), ContainsSubstring("every:N, slack:N and decoding_press:N"));
}

TEST_CASE("under each schedule a cache keeps, loses and errs as the slow judge's, step by step") {
    const Answered made({prompt + 3, prompt + 8});
    const CapturedTrace& trace = *made.suite.search_traces().train[0]->captured();
    const std::vector<std::string> columns{"cumulative_attn", "window_attn:3", "key_norm"};
    for (const Case& of : cases()) {
        const Bench found = bench(made.suite, columns, of.name, 1);
        for (std::size_t c = 0; c < columns.size(); ++c)
            for (std::size_t r = 0; r < retentions.size(); ++r) {
                INFO(of.name << ", " << columns[c] << " at " << retentions[r]);
                const std::size_t capacity = capacity_at(retentions[r]);
                SlowDamage sum;
                std::vector<SlowCourse> courses;
                for (const std::size_t number : {0, 3}) {
                    const OwnedLayer tensors = trace.load_layer(number);
                    const auto& o_proj = trace.output_projections()->load(number);
                    const SlowDamage damage =
                        SlowLayer(tensors, prompt, std::vector<double>(end), {o_proj.begin(), o_proj.end()})
                            .decode(columns[c], capacity, of.slow(capacity), courses.emplace_back());
                    sum.output_error += damage.output_error / 2;
                    sum.attention_loss += damage.attention_loss / 2;
                }
                const ScorecardRow& row = found.rows.at(c);
                CHECK(close(row.splits[0].by_retention[r], sum.output_error));
                CHECK(close(row.more_splits[0][0].by_retention[r], sum.attention_loss));
                const CacheCourse& course = row.course[0];
                CHECK(course.largest[r] == std::max(courses[0].largest, courses[1].largest));
                REQUIRE(course.churn[r].size() == end - prompt);
                for (std::size_t i = 0; i < end - prompt; ++i) {
                    INFO("step " << i);
                    const auto both = [&](const std::vector<std::size_t> SlowCourse::*of_course) {
                        return double((courses[0].*of_course)[i] + (courses[1].*of_course)[i]);
                    };
                    CHECK(close(course.attention_loss[r][i], (courses[0].losses[i] + courses[1].losses[i]) / 2));
                    CHECK(course.retention_used[r][i] ==
                          both(&SlowCourse::cached) / double(2 * heads * (prompt + i + 1)));
                    CHECK(course.churn[r][i] == both(&SlowCourse::replaced) / double(2 * heads));
                }
            }
    }
}

TEST_CASE("a row of the asked size never overshoots what its schedule lets it hold") {
    const Answered made({prompt + 3, prompt + 8});
    for (const Case& of : cases()) {
        const Bench found = bench(made.suite, {"key_norm"}, of.name);
        INFO(of.name);
        CHECK(found.rows[0].course[0].churn.empty());
        CHECK(found.allowed[0].empty() == (std::string(of.name) == "every:1"));
        if (found.allowed[0].empty()) continue;
        for (std::size_t r = 0; r < retentions.size(); ++r)
            CHECK(found.allowed[0][r] == Approx(found.rows[0].retention_used[0][r]));
        CHECK_FALSE(report::overshoots(found.rows[0].retention_used[0], found.allowed[0]));
        if (!found.cut.schedule.cuts_prompt() || !found.cut.schedule.cuts_again())
            CHECK(report::overshoots(found.rows[0].retention_used[0], found.retentions));
    }
}

TEST_CASE("results name the schedule, read again and repeat by its option") {
    const Answered made({prompt + 3});
    const Bench usual = bench(made.suite, {"key_norm"}, "every:1");
    CHECK_FALSE(report::to_json(usual).contains("decode"));
    CHECK(report::cut_options(usual.cut).empty());
    const Bench found = bench(made.suite, {"key_norm", "-position"}, "slack:4", 5);
    const Json json = report::to_json(found);
    CHECK(json["decode"]["schedule"] == "slack:4");
    CHECK(json["decode"]["bin"] == 5);
    CHECK(json["decode"]["allowed"]["train"]["0.25"] == found.allowed[0][0]);
    CHECK(json["rows"][0]["along"]["churn"]["train"]["0.25"].size() == 3);
    CHECK(report::to_json(report::bench_from_json(json, "b.json")) == json);
    CHECK(report::cut_options(found.cut) == " --schedule slack:4");
    CHECK(report::cut_text(found.cut, found.retentions) == "Schedule of cuts: slack:4.");
    for (const report::Format format : {report::Format::table, report::Format::markdown}) {
        const std::string text = report::render(report::shown_by(found, Split::train), format);
        CHECK_THAT(text, ContainsSubstring("later tokens kept") && ContainsSubstring("10-14"));
        CHECK_THAT(report::render(report::shown_by(usual, Split::train), format),
                   !ContainsSubstring("later tokens kept"));
    }
    const auto refused = [&json](const char* where, const Json& value) {
        Json wrong = json;
        wrong[Json::json_pointer(where)] = value;
        try {
            (void)report::bench_from_json(wrong, "b.json");
        } catch (const Error& error) {
            return std::string(error.what());
        }
        return std::string("read");
    };
    CHECK_THAT(refused("/decode/schedule", "often"), ContainsSubstring("decode.schedule: expected a schedule"));
    CHECK_THAT(refused("/decode/allowed/train/0.25", 2), ContainsSubstring("decode.allowed.train.0.25"));
    CHECK_THAT(refused("/rows/0/along/churn/train/0.25", Json{-1}), ContainsSubstring("along.churn.train.0.25[0]"));
}

TEST_CASE("a cache that no new token survives is called frozen, in the table and in JSON") {
    const Answered made({prompt + 3});
    const Bench found = bench(made.suite, {"-position", "position"}, "every:1");
    CHECK_THAT(
        report::render(report::shown_by(found, Split::train), report::Format::table),
        ContainsSubstring("Frozen caches, which hardly a token of the continuation survives (in brackets the share "
                          "of what keeping all alike would hold): -position at 0.25 (0.00), -position at 0.50 "
                          "(0.00).\n"));
    const Json rows = report::to_json(found)["rows"];
    CHECK(rows[0]["frozen"] == Json{{"train", {0.25, 0.5}}});
    CHECK_FALSE(rows[1].contains("frozen"));
}

TEST_CASE("what a schedule cannot be had with is refused by name") {
    PluginHost host;
    const Answered answered({prompt + 3}), silent({});
    const auto refused = [&](const Suite& suite, const char* scorer, const char* protocol, const char* schedule,
                             std::size_t bin = 0) {
        BenchOptions options;
        options.protocol = protocol;
        options.retentions = retentions;
        options.schedule = parse_schedule(schedule);
        options.bin = bin;
        try {
            (void)run_bench(suite, std::vector{make_scorer(scorer, host)}, options);
        } catch (const UsageError& error) {
            return std::string(error.what());
        }
        return std::string("ran");
    };
    const char* const threshold = "threshold@kvpress:t=3,window=5(=key_norm)";
    const char* const matched = "threshold@matched:window=4(=key_norm)";
    CHECK_THAT(refused(answered.suite, "=key_norm", "prefill", "once"),
               ContainsSubstring("schedule is for the protocol"));
    CHECK_THAT(refused(answered.suite, "=key_norm", "prefill", "every:1", 4),
               ContainsSubstring("bin is for the protocol"));
    CHECK_THAT(refused(silent.suite, "=key_norm", "decode", "turns"), ContainsSubstring("no document of suite"));
    CHECK_THAT(refused(answered.suite, threshold, "decode", "decoding_press:5"),
               ContainsSubstring("decoding_press:5 does not cut there"));
    CHECK_THAT(refused(answered.suite, matched, "decode", "slack:5"), ContainsSubstring("use every:N"));
    for (const char* schedule : {"every:5", "slack:5", "once", "turns"})
        CHECK(refused(answered.suite, threshold, "decode", schedule) == "ran");
    for (const char* schedule : {"every:5", "once", "turns"})
        CHECK(refused(answered.suite, matched, "decode", schedule) == "ran");
}
