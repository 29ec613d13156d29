// What is published, and which scorers `all` has, by what plugins say of their presets; a published method that is one
// file counts everywhere.
// SPDX-License-Identifier: MIT
#include "framework/scorers/published.hpp"

#include "framework/scorers/scorer.hpp"
#include "report/leaderboard_text.hpp"
#include "state/store.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/made_benches.hpp"
#include "tests/support/process.hpp"
#include "tests/support/temporary_folder.hpp"

using namespace evictlab;
using namespace evictlab::test;

namespace {

const std::string toys = EVICTLAB_TEST_PLUGINS "/published";

PluginHost& host() {
    static PluginHost instance;
    return instance;
}

PluginHost host_with(const std::string& folder) {
    const std::vector<std::filesystem::path> folders{folder};
    return PluginHost(folders);
}

} // namespace

TEST_CASE("a bare name is one whose plugin publishes other rules than its defaults") {
    using Bare = std::vector<BareName>;
    CHECK(bare_names("h2o", host()) == Bare{{"h2o", true, {"h2o@paper"}}});
    CHECK(bare_names("adakv(snapkv:window=16)", host()) ==
          Bare{{"snapkv:window=16", true, {"snapkv@kvpress", "snapkv@paper"}}});
    for (const char* name : {"h2o@seed", "h2o@paper", "keydiff", "knorm", "random", "evolved", "adakv(snapkv@kvpress)",
                             "=recent_attn", "mine.formula", "nobody", ""}) {
        INFO(name);
        CHECK(bare_names(name, host()).empty());
    }
}

TEST_CASE("published methods are presets that say so, wrapped or not, with nothing changed by hand") {
    for (const char* name :
         {"keydiff@kvpress", "keydiff", "lagkv@kvpress", "lagkv@paper", "expected_attention@kvpress",
          "observed_attention", "h2o@paper", "knorm", "adakv(snapkv@kvpress)", "adakv@paper(snapkv@paper)",
          "criticaladakv@kvpress(keydiff)", "criticalkv@kvpress(expected_attention@kvpress:use_vnorm=false)"}) {
        INFO(name);
        CHECK(is_published(name, ScorerRules::published, host()));
    }
    for (const char* name : {"random",
                             "snapkv@seed",
                             "evolved",
                             "evolved@real",
                             "adakv@kvpress(evolved@real)",
                             "adakv@kvpress",
                             "adakv(snapkv@kvpress):alpha=0.5",
                             "adakv:alpha=0.5(snapkv@kvpress)",
                             "adakv(snapkv:window=32)",
                             "adakv(snapkv)",
                             "chunkkv(snapkv@kvpress)@kvpress",
                             "chunkkv(criticalkv(snapkv@kvpress))",
                             "expected_attention@kvpress:use_vnorm=false",
                             "adakv(expected_attention@kvpress:use_vnorm=false)",
                             "h2o@paper:window=8",
                             "snapkv@kvpress()",
                             "mine(snapkv@kvpress)",
                             "adakv(",
                             "adakv)x(",
                             "knormal",
                             "",
                             "="})
        CHECK_FALSE(is_published(name, ScorerRules::published, host()));
}

TEST_CASE("the seed's simplified rules are published under rescore alone, by the name of their preset") {
    for (const char* name : {"h2o@seed", "tova@seed", "pyramidkv@seed", "snapkv@kvpress", "h2o@paper", "knorm"}) {
        INFO(name);
        CHECK(is_published(name, ScorerRules::seed, host()));
    }
    for (const char* name : {"keydiff", "keydiff@kvpress", "lagkv@kvpress", "random@seed", "h2o@seed:window=1",
                             "h2o_mine", "adakv(snapkv@kvpress)"})
        CHECK_FALSE(is_published(name, ScorerRules::seed, host()));
    for (const char* plain : {"h2o", "snapkv", "tova", "pyramidkv", "streaming_llm"})
        for (const ScorerRules rules : {ScorerRules::seed, ScorerRules::published}) {
            INFO(plain);
            CHECK_FALSE(is_published(plain, rules, host()));
        }
}

TEST_CASE("a plugin of an earlier ABI loads and says nothing of what is published") {
    const PluginHost old = host_with(EVICTLAB_TEST_PLUGINS "/abi");
    REQUIRE(old.find("older"));
    CHECK(old.find("older")->preset("seed")->flags == 0);
    CHECK_FALSE(is_published("older@seed", ScorerRules::published, old));
    CHECK_FALSE(is_published("older@seed", ScorerRules::seed, old));
    CHECK_FALSE(formula_twin("older", old));
}

TEST_CASE("all scorers of prefill are those that plugins list, wrappers over the bases that they name") {
    PluginHost with = host_with(toys);
    std::vector<std::string> labels;
    for (const Scorer& scorer : all_prefill_scorers(with)) labels.push_back(scorer.label());
    const auto has = [&](std::string_view label) { return std::ranges::count(labels, label) == 1; };
    CHECK(has("toy@paper"));
    CHECK(has("toy_wrapper@paper(toy@paper:share=0.9)"));
    CHECK(has("toy_wrapper@paper(toy@mine)"));
    for (const char* label : {"toy", "toy@mine", "toy@late", "toy_wrapper@paper"}) CHECK_FALSE(has(label));
    CHECK(labels.size() == all_prefill_scorers(host()).size() + 3);
    for (const Scorer& scorer : all_scorers(with)) CHECK_FALSE(scorer.label().starts_with("toy"));
}

TEST_CASE("a published method that is one file counts as one in tables, and without its plugin does not") {
    const PluginHost with = host_with(toys);
    for (const char* name : {"toy@paper", "toy@late", "toy_wrapper@paper(toy@paper)", "adakv(toy@paper)",
                             "toy_wrapper(toy@paper:share=0.9)"}) {
        INFO(name);
        CHECK(is_published(name, ScorerRules::published, with));
        CHECK_FALSE(is_published(name, ScorerRules::published, host()));
    }
    for (const char* name : {"toy", "toy@mine", "toy_wrapper@paper(toy@mine)", "toy_wrapper(toy@paper:share=0.8)"})
        CHECK_FALSE(is_published(name, ScorerRules::published, with));
    CHECK(formula_twin("toy@paper", with) == "0.6*window_attn:64:pool=5:avg + 0.4*replayed_attn:all:rms");

    Bench bench =
        report::made_bench({report::made_row("snapkv@kvpress", 0.2, 0.2), report::made_row("toy@paper", 0.15, 0.1)});
    const std::vector<report::LeaderboardInput> inputs{{"made.json", bench, std::nullopt}};
    CHECK(report::make_leaderboard(inputs, {}, with).at(0).uniform().best_published == "toy@paper");
    CHECK(report::make_leaderboard(inputs, {}, host()).at(0).uniform().best_published == "snapkv@kvpress");
}

TEST_CASE("a published method from a folder of plugins is in `all`, in reports and among a search's references") {
    const TemporaryFolder folder;
    const std::string in = folder.path.string(), with = " --plugin-dir '" + toys + "' ";
    const std::string suite = " --suite smollm2 --patterns 1 --retention 0.25 ";
    REQUIRE(shell("evictlab bench" + suite + "--format json --output bench.json" + with, in).code == 0);
    const std::string bench = bytes_of(folder / "bench.json");
    CHECK_THAT(bench, ContainsSubstring("\"toy@paper\"") && ContainsSubstring("\"toy_wrapper@paper(toy@mine)\""));
    REQUIRE(shell("evictlab report --bench bench.json --output with.json" + with, in).code == 0);
    REQUIRE(shell("evictlab report --bench bench.json --output without.json", in).code == 0);
    const Json best = Json::parse(bytes_of(folder / "with.json")).at("suites")[0].at("best_published");
    const Json other = Json::parse(bytes_of(folder / "without.json")).at("suites")[0].at("best_published");
    CHECK(best == "toy_wrapper@paper(toy@paper:share=0.9)");
    CHECK_FALSE(other.get<std::string>().starts_with("toy"));

    const std::string search = "evictlab evolve" + suite + "--start value_norm --population 8 --generations 1 --quiet ";
    REQUIRE(shell(search + "--state with.run" + with, in).code == 0);
    REQUIRE(shell(search + "--state without.run", in).code == 0);
    const auto reference = [&](const char* file) {
        return state::read_state(folder / file).at("suite").at("reference").at("train")[0].get<double>();
    };
    const Json rows = Json::parse(bench).at("rows");
    const auto lowest = [&](const PluginHost& plugins) {
        double least = 1;
        for (const Json& row : rows)
            if (!row.value("uneven_budgets", false) &&
                is_published(row.at("scorer").get<std::string>(), ScorerRules::published, plugins))
                least = std::min(least, row.at("splits").at("train").at("0.25").get<double>());
        return least;
    };
    CHECK(reference("with.run") == Approx(lowest(host_with(toys))));
    CHECK(reference("without.run") == Approx(lowest(host())));
    CHECK(reference("with.run") < reference("without.run"));
}

TEST_CASE("what is published is shown with the plugins") {
    const std::string with = " --plugin-dir '" + toys + "'";
    CHECK_THAT(shell("evictlab plugins" + with).out,
               ContainsSubstring("paper* late* mine ") && ContainsSubstring("seed kvpress*"));
    const std::string toy = shell("evictlab plugins describe toy" + with).out;
    CHECK_THAT(toy, ContainsSubstring("(published)\n") && ContainsSubstring("(published, only by name)\n") &&
                        ContainsSubstring("formula   0.6*window_attn:64:pool=5:avg"));
    CHECK_THAT(shell("evictlab plugins describe toy_wrapper" + with).out,
               ContainsSubstring("over      toy@paper:share"));
    CHECK_THAT(shell("evictlab plugins describe h2o").out,
               ContainsSubstring("formula     if(relative_pos < 32, keep, cumulative_attn)") &&
                   ContainsSubstring("(a published method, simplified for synthetic suites)"));
    CHECK_THAT(
        shell("evictlab export toy@paper --to formula --output toy.formula" + with, TemporaryFolder().path.string())
            .out,
        ContainsSubstring("toy.formula"));
}
