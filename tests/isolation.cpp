// Plugins in processes of their own are the same plugins: what they say, what they score, and how they fail.
// SPDX-License-Identifier: MIT
#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <thread>

#include "framework/bench/scorecard.hpp"
#include "framework/protocols/protocol.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/isolated.hpp"
#include "tests/support/small_runs.hpp"

using namespace evictlab;
using namespace evictlab::test;
namespace fs = std::filesystem;

namespace {

const fs::path test_plugins = EVICTLAB_TEST_PLUGINS;

PluginHost host_of(const std::vector<fs::path>& folders, const PluginHost::Loader& loader) {
    return PluginHost(folders, loader);
}

void check_same(const SplitErrors& a, const SplitErrors& b) {
    CHECK(a.by_retention == b.by_retention);
    CHECK(a.by_trace == b.by_trace);
}

/// Bit for bit.
void check_same(const Bench& a, const Bench& b) {
    const auto words = [](const PluginError& error) { return std::string(error.what()); };
    CHECK(std::ranges::equal(a.failures, b.failures, {}, words, words));
    REQUIRE(a.rows.size() == b.rows.size());
    for (std::size_t row = 0; row < a.rows.size(); ++row) {
        INFO(a.rows[row].scorer);
        CHECK(a.rows[row].scorer == b.rows[row].scorer);
        CHECK(a.rows[row].retention_used == b.rows[row].retention_used);
        for (const Split split : all_splits) {
            const auto s = static_cast<std::size_t>(split);
            if (a.traces[s].empty()) continue;
            check_same(a.rows[row].splits[s], b.rows[row].splits[s]);
            for (std::size_t m = 0; m < a.more_measures.size(); ++m)
                check_same(a.rows[row].more_splits[m][s], b.rows[row].more_splits[m][s]);
        }
    }
}

std::vector<std::string> problems_of(const PluginHost& host) {
    std::vector<std::string> words;
    for (const PluginError& problem : host.problems()) words.emplace_back(problem.what());
    return words;
}

PluginError error_of(const auto& call) {
    try {
        call();
    } catch (const PluginError& error) {
        return error;
    }
    FAIL("no PluginError");
    return {"", "", ""};
}

/// For the plugin observed_attention, which gives its value as the score.
struct OneToken {
    double value = 0.5, age = 0;
    const double* columns[2] = {&age, &value};
    std::ptrdiff_t strides[2] = {0, 0};
    evl_batch batch{sizeof(evl_batch), 0, 1, 1, 1, 1, columns, strides, 0, 0, nullptr, 0, nullptr};
};

} // namespace

TEST_CASE("isolated plugins say the same of themselves") {
    const std::vector<fs::path> folders{test_plugins / "written", EVICTLAB_PLUGIN_FOLDER};
    const PluginHost here = host_of(folders, Plugin::load), there = host_of(folders, isolating());
    CHECK(there.problems().empty());
    REQUIRE(here.plugins().size() == there.plugins().size());
    for (std::size_t p = 0; p < here.plugins().size(); ++p) {
        const auto rules = here.plugins()[p]->rules(), isolated = there.plugins()[p]->rules();
        REQUIRE(rules.size() == isolated.size());
        for (std::size_t r = 0; r < rules.size(); ++r) {
            const Plugin &a = *rules[r], &b = *isolated[r];
            INFO(a.id());
            CHECK(a.label() == b.label());
            CHECK(a.name() == b.name());
            CHECK(a.version() == b.version());
            CHECK(a.description() == b.description());
            CHECK(a.reference() == b.reference());
            CHECK(a.file_sha256() == b.file_sha256());
            CHECK(a.deterministic() == b.deterministic());
            CHECK(a.concurrent() == b.concurrent());
            CHECK(a.budgeted() == b.budgeted());
            CHECK(a.equal_layers() == b.equal_layers());
            CHECK(a.wants_tensors() == b.wants_tensors());
            CHECK(a.tensor_window() == b.tensor_window());
            CHECK(a.budgets_layers() == b.budgets_layers());
            CHECK(a.budgets_heads() == b.budgets_heads());
            CHECK(a.budgets_model() == b.budgets_model());
            CHECK(a.model_facts() == b.model_facts());
            CHECK(a.scores_model() == b.scores_model());
            CHECK(a.threshold() == b.threshold());
            CHECK(std::ranges::equal(a.column_patterns(), b.column_patterns()));
            CHECK(a.default_values() == b.default_values());
            CHECK(std::ranges::equal(a.parameters(), b.parameters(), {}, &Parameter::key, &Parameter::key));
            CHECK(std::ranges::equal(a.parameters(), b.parameters(), {}, &Parameter::evolvable, &Parameter::evolvable));
            CHECK(std::ranges::equal(a.presets(), b.presets(), {}, &Preset::values, &Preset::values));
            CHECK(a.place() == "in this process");
            CHECK_THAT(std::string(b.place()), ContainsSubstring("in a process of its own"));
        }
    }
}

TEST_CASE("isolated plugins give the same bits by every protocol, for one thread and for many") {
    const std::vector<fs::path> folders{test_plugins / "written", EVICTLAB_PLUGIN_FOLDER};
    PluginHost here = host_of(folders, Plugin::load), there = host_of(folders, isolating());
    const SmallCaptured captured;
    const Suite micro = small_micro();
    for (const std::string protocol : {"rescore", "prefill", "decode"}) {
        INFO(protocol);
        const Suite& suite = protocol == "rescore" ? micro : captured.suite;
        const auto scorers_of = [&](PluginHost& host) {
            auto scorers = protocol == "rescore" ? all_scorers(host) : all_prefill_scorers(host);
            std::erase_if(scorers, [&](const Scorer& s) { return !refusal(s, suite, protocol).empty(); });
            return scorers;
        };
        const auto in_here = scorers_of(here), in_there = scorers_of(there);
        REQUIRE(in_here.size() > 8);
        BenchOptions options;
        options.protocol = protocol;
        const Bench bench = run_bench(suite, in_here, options);
        check_same(bench, run_bench(suite, in_there, options));
        options.threads = 1;
        check_same(bench, run_bench(suite, in_there, options));
    }
}

TEST_CASE("an isolated plugin that is refused, fails or answers NaN does so in the same words") {
    const std::vector<fs::path> folders{test_plugins / "refused"};
    CHECK(problems_of(host_of(folders, isolating())) == problems_of(host_of(folders, Plugin::load)));
    std::vector<std::vector<std::string>> told;
    for (const PluginHost::Loader& loader : {PluginHost::Loader(Plugin::load), isolating()}) {
        PluginHost host({}, loader);
        std::vector<Scorer> scorers;
        for (const char* name : {"failing_create", "silent_failure", "throwing_create", "throwing_int", "no_instance",
                                 "failing_score", "throwing_score", "nan_score"})
            scorers.push_back(make_scorer((test_plugins / "loaded" / name).string() + ".so", host));
        auto& words = told.emplace_back();
        for (const PluginError& failure : run_bench(small_micro(), scorers).failures)
            words.emplace_back(failure.what());
    }
    CHECK(told[0].size() == 8);
    CHECK(told[0] == told[1]);
}

TEST_CASE("a budget that fails in a process of its own is told in the same words") {
    for (const char* name : {"failing_budget.so", "throwing_budget.so"}) {
        const fs::path file = test_plugins / "loaded" / name;
        const auto words_of = [&](const std::shared_ptr<const Plugin>& plugin) {
            const auto instance = plugin->create(plugin->preset("seed")->values);
            return std::string(error_of([&] {
                                   instance->layer_budget({sizeof(evl_budget_query), 3, 30, 2, 100, 0.5, 50});
                               }).what());
        };
        CHECK(words_of(isolating()(file)) == words_of(Plugin::load(file)));
    }
}

namespace {

/// Layers 1 and 2 of a model of 4, two heads of 3 tokens, scored and told of by the rule `model` of sdk_budgets.
std::vector<std::uint64_t> budgets_of_small_model(const ScorerInstance& instance) {
    const double position[3] = {0, 1, 2};
    const double* const columns[1] = {position};
    const std::ptrdiff_t strides[1] = {0};
    double scores[2][6];
    std::vector<double> facts[2] = {std::vector<double>(3), std::vector<double>(3)};
    std::vector<evl_scored_layer> layers;
    for (const std::uint32_t i : {0U, 1U}) {
        const evl_batch batch{sizeof batch, i + 1, 4, 2, 3, 3, columns, strides, 0.5, 2, nullptr, 0, nullptr};
        instance.score(batch, scores[i]);
        instance.layer_facts(batch, scores[i], facts[i]);
        layers.push_back({i + 1, 2, 3, 0, 3 - i, scores[i], facts[i].data()});
    }
    std::vector<std::uint64_t> kept(4);
    instance.model_budgets({sizeof(evl_model_query), 4, 2, sizeof(evl_scored_layer), 0.5, layers.data()}, kept);
    return kept;
}

std::shared_ptr<const Plugin> model_rule(const std::shared_ptr<const Plugin>& plugin) { return plugin->rules()[2]; }

} // namespace

TEST_CASE("budgets of a whole model are asked for with scores and facts, here and in a process of its own") {
    const fs::path file = test_plugins / "written" / "sdk_budgets.so";
    for (const auto& rule : {model_rule(Plugin::load(file)), model_rule(isolating()(file))}) {
        const auto said = [&](std::vector<double> values) { return budgets_of_small_model(*rule->create(values)); };
        const auto why = [&](std::vector<double> values) {
            return std::string(error_of([&] { said(values); }).what());
        };
        // What a head of the layer would keep, for its first one; what others keep is as it was; two layers are not
        // held.
        CHECK(said(rule->default_values()) == std::vector<std::uint64_t>{3, 3, 2, 2});
        CHECK_THAT(why({1, 0}), ContainsSubstring("budget: layer 1: head 0: 4 of 3 tokens are to be kept"));
        CHECK_THAT(why({0, -1}), ContainsSubstring("budget: layer 1: fact 2 is NaN, or was not written"));
    }
}

TEST_CASE("scores that look at all layers are changed here and in a process of its own alike") {
    const fs::path file = test_plugins / "written" / "sdk_budgets.so";
    for (const auto& plugin : {Plugin::load(file), isolating()(file)}) {
        double scores[2][6] = {{1, 2, 3, 4, 5, 6}, {-1, -2, -3, -4, -5, HUGE_VAL}};
        double changed[2][6] = {};
        const evl_scored_layer layers[2] = {{1, 2, 3, 0, 3, scores[0], nullptr}, {2, 2, 3, 0, 3, scores[1], nullptr}};
        double* const pointers[2] = {changed[0], changed[1]};
        const auto ask = [&](std::vector<double> values) {
            plugin->rules()[3]->create(values)->model_scores(
                {sizeof(evl_model_query), 4, 2, sizeof(evl_scored_layer), 0.5, layers}, pointers);
        };
        ask({3, 1});
        CHECK((std::ranges::equal(changed[0], scores[1]) && std::ranges::equal(changed[1], scores[0])));
        ask({3, -9});
        CHECK(std::isnan(changed[1][4]));
    }
}

TEST_CASE("one process scores many batches, and none is left behind") {
    {
        const auto plugin = isolating()(fs::path(EVICTLAB_PLUGIN_FOLDER) / "observed_attention.so");
        const auto instance = plugin->create(plugin->default_values());
        OneToken token;
        for (int i = 0; i < 100; ++i) {
            double score = 0;
            token.value = i;
            instance->score(token.batch, &score);
            REQUIRE(score == i);
        }
        CHECK(count_workers(::getpid()) == 1);
    }
    CHECK(no_worker_left(::getpid()));
}

TEST_CASE("a limit on the processor time of workers is never the program's own, however busy the machine is") {
    rlimit before{}, after{};
    REQUIRE(::getrlimit(RLIMIT_CPU, &before) == 0);
    std::atomic<bool> done{false};
    std::vector<std::jthread> busy;
    for (unsigned i = 0; i < 2 * std::max(1u, std::thread::hardware_concurrency()); ++i)
        busy.emplace_back([&] {
            while (!done) std::this_thread::yield();
        });
    for (int i = 0; i < 60; ++i) isolating()(fs::path(EVICTLAB_PLUGIN_FOLDER) / "h2o.so");
    done = true;
    REQUIRE(::getrlimit(RLIMIT_CPU, &after) == 0);
    CHECK(after.rlim_cur == before.rlim_cur);
}

TEST_CASE("a program that cannot be started is told") {
    isolation::Settings settings = worker_settings();
    settings.program = "/nowhere/evictlab";
    const auto error = error_of([&] { isolating(settings)(fs::path(EVICTLAB_PLUGIN_FOLDER) / "h2o.so"); });
    CHECK(error.phase == "load");
    CHECK_THAT(error.cause, ContainsSubstring("/nowhere/evictlab"));
}
