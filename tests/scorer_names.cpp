// Scorers from what a person types: every form, and what a wrong one is told.
// SPDX-License-Identifier: MIT
#include <evictlab/scorer.h>

#include <filesystem>
#include <fstream>
#include <initializer_list>
#include <utility>

#include "framework/scorers/scorer.hpp"
#include "tests/support/catch.hpp"

using namespace evictlab;
namespace fs = std::filesystem;

namespace {

PluginHost& host() {
    static PluginHost instance;
    return instance;
}

std::vector<double> values_of(std::string_view text) {
    const auto scorer = make_scorer(text, host());
    return {scorer.values().begin(), scorer.values().end()};
}

std::string refusal_of(std::string_view text) {
    try {
        make_scorer(text, host());
    } catch (const UsageError& error) {
        return error.what();
    }
    return "accepted";
}

fs::path formula_file(const std::string& name, const std::string& content) {
    const fs::path folder = fs::path(EVICTLAB_BUILD_DIR) / "tests" / "formulas";
    fs::create_directories(folder);
    std::ofstream(folder / name) << content;
    return folder / name;
}

} // namespace

TEST_CASE("a plugin by id, preset and parameters") {
    CHECK(values_of("streaming_llm") == std::vector<double>{4, 64});
    CHECK(values_of("random") == std::vector<double>{0, 0});
    CHECK(values_of("random@seed") == std::vector<double>{42, 1});
    CHECK(values_of("streaming_llm:window=16") == std::vector<double>{4, 16});
    CHECK(values_of("streaming_llm:window=16,sinks=0") == std::vector<double>{0, 16});
    CHECK(values_of("random@seed:seed=7") == std::vector<double>{7, 1});
    CHECK(values_of("random:original=true") == std::vector<double>{0, 1});
    CHECK(values_of(" pyramidkv@seed:damping=2.5e-1 ") == std::vector<double>{4, 48, 0.25});
    CHECK(make_scorer("h2o@seed:window=8", host()).label() == "h2o@seed:window=8");
    CHECK(make_scorer("h2o", host()).plugin() == host().find("h2o"));
    CHECK_FALSE(make_scorer("h2o", host()).is_formula());
}

TEST_CASE("a name is taken apart and printed") {
    const ScorerName name = parse_scorer_name(" adakv@kvpress:alpha=0.3, x=1 ( dir@1/mine.so@soft:k(=max(1, 2)) ) ");
    CHECK(name.id == "adakv");
    CHECK(name.preset == "kvpress");
    CHECK(name.assignments == std::vector<ScorerName::Assignment>{{"alpha", "0.3"}, {"x", "1"}});
    REQUIRE(name.base);
    CHECK(name.base->is_library());
    CHECK(name.base->id == "dir@1/mine.so");
    CHECK(name.base->assignments == std::vector<ScorerName::Assignment>{{"k", std::nullopt}});
    REQUIRE(name.base->base);
    CHECK(name.base->base->expression == "max(1, 2)");
    CHECK(name.text() == "adakv@kvpress:alpha=0.3,x=1(dir@1/mine.so@soft:k(=max(1, 2)))");
    CHECK(name.without_base() == "adakv@kvpress:alpha=0.3,x=1");
    for (const char* text : {"h2o", "h2o@", "h2o:", "h2o@seed:window=8", "=recent_attn + 1", "a/b.formula", "h2o)", ""})
        CHECK(parse_scorer_name(text).text() == text);
    CHECK(parse_scorer_name("a/b.formula").is_formula());
    CHECK(is_random("random"));
    CHECK(is_random("random@seed:seed=7"));
    CHECK_FALSE(is_random("randomised"));
    CHECK_FALSE(is_random("=random"));
    using List = std::vector<std::string>;
    CHECK(files_in_scorer_list("h2o,dir@1/x.so@p:k=1,adakv(mine.formula),=max(1,2)") ==
          List{"dir@1/x.so", "mine.formula"});
    CHECK(files_in_scorer_list("adakv(mine.formula,,").size() == 1);
}

TEST_CASE("a library by its path is named by its id") {
    const std::string path = EVICTLAB_TEST_PLUGINS "/written/c_scorer.so";
    CHECK(make_scorer(path, host()).label() == "c_scorer");
    const auto scorer = make_scorer(path + "@soft:sinks=2", host());
    CHECK(scorer.label() == "c_scorer@soft:sinks=2");
    CHECK(std::vector<double>(scorer.values().begin(), scorer.values().end()) == std::vector<double>{2, 0.5});
    CHECK_THROWS_AS(make_scorer("/nowhere/x.so", host()), PluginError);
}

TEST_CASE("a preset chooses among the rules of an id") {
    CHECK(make_scorer("snapkv", host()).plugin() == make_scorer("snapkv@seed", host()).plugin());
    const auto published = make_scorer("snapkv@kvpress:kernel=7", host());
    CHECK(published.plugin() != host().find("snapkv"));
    CHECK(published.label() == "snapkv@kvpress:kernel=7");
    REQUIRE(published.columns().size() == 1);
    CHECK(columns::name(published.columns()[0]) == "window_attn:64:pool=7:avg");
    CHECK(columns::name(make_scorer("snapkv@paper", host()).columns()[0]) == "window_attn:32:pool=7:max");
    CHECK_THAT(refusal_of("snapkv@sead"), ContainsSubstring("There are: seed, kvpress, paper"));
    CHECK_THAT(refusal_of("snapkv@seed:kernel=7"), ContainsSubstring("has no parameter 'kernel'"));
}

TEST_CASE("a wrapper over any scorer") {
    const auto scorer = make_scorer("adakv@kvpress:alpha=0.3( h2o@seed:window=8 )", host());
    CHECK(scorer.label() == "adakv@kvpress:alpha=0.3(h2o@seed:window=8)");
    CHECK(scorer.values()[0] == 0.3);
    REQUIRE(scorer.base());
    CHECK(scorer.base()->values()[0] == 8);
    std::vector<std::string> names;
    for (const ColumnId id : scorer.columns()) names.push_back(columns::name(id));
    CHECK(names == std::vector<std::string>{"relative_pos", "cumulative_attn"});
    CHECK(scorer.own_columns()[0] == base_score_id);
    CHECK(scorer.allocates());
    CHECK_FALSE(scorer.budgeted());

    CHECK(make_scorer("criticalkv(=if(position < 4, keep, key_norm))", host()).base()->is_formula());
    CHECK(make_scorer("criticalkv(h2o)", host()).budgeted());
    CHECK(make_scorer("adakv(criticalkv(snapkv@kvpress))", host()).budgeted());
    CHECK(make_scorer("adakv(keydiff@paper)", host()).wants_tensors());
    const std::string path = EVICTLAB_TEST_PLUGINS "/written/c_scorer.so";
    CHECK(make_scorer("adakv(" + path + "@soft)", host()).label() == "adakv(c_scorer@soft)");
    const auto file = formula_file("inner.formula", "recent_attn");
    CHECK(make_scorer("chunkkv(" + file.string() + ")", host()).label() == "chunkkv(inner)");
}

TEST_CASE("a wrapper alone, and parentheses behind what is none") {
    CHECK_THAT(refusal_of("adakv@kvpress"), ContainsSubstring("'adakv@kvpress' is a wrapper") &&
                                                ContainsSubstring("write adakv@kvpress(snapkv@kvpress)"));
    CHECK_THAT(refusal_of("h2o(snapkv)"), ContainsSubstring("scorer 'h2o' wraps no other"));
    CHECK_THAT(refusal_of("adakv()"), ContainsSubstring("a scorer's name is empty"));
    CHECK_THAT(refusal_of("adakv(adakv)"), ContainsSubstring("'adakv' is a wrapper"));
    CHECK_THAT(refusal_of("adakv(h20)"), ContainsSubstring("did you mean 'h2o'?"));
    CHECK_THAT(refusal_of("h2o)"), ContainsSubstring("unknown scorer 'h2o)'"));
    CHECK_THAT(refusal_of("=base_score + 1"), ContainsSubstring("for wrapper plugins"));
}

TEST_CASE("rescore refuses what needs a budget or another scorer") {
    const auto refusal = [](std::string_view text) { return refusal_by_rescore(make_scorer(text, host())); };
    CHECK(refusal("h2o@paper").empty());
    CHECK(refusal("=recent_attn").empty());
    CHECK_THAT(refusal("streaming_llm@kvpress"), ContainsSubstring("scores for a budget, which the protocol rescore"));
    CHECK_THAT(refusal("adakv(h2o)"), ContainsSubstring("wraps another scorer"));
}

TEST_CASE("a formula by its text or its file") {
    const auto typed = make_scorer("=recent_attn + 1", host());
    CHECK(typed.label() == "=recent_attn + 1");
    CHECK(typed.is_formula());
    CHECK(formula::print(typed.formula()) == "recent_attn + 1");
    REQUIRE(typed.columns().size() == 1);
    CHECK(columns::name(typed.columns()[0]) == "recent_attn");

    const auto file = formula_file("mine.formula", "# my own\nrecent_attn * 2 # doubled\n");
    const auto read = make_scorer(file.string(), host());
    CHECK(read.label() == "mine");
    CHECK(formula::print(read.formula()) == "recent_attn*2");
}

TEST_CASE("an unknown name is answered with what there is and what was probably meant") {
    CHECK_THAT(refusal_of("h20"), ContainsSubstring("unknown scorer 'h20'; did you mean 'h2o'? There are: ") &&
                                      ContainsSubstring("streaming_llm"));
    CHECK_THAT(refusal_of("streaming"), ContainsSubstring("did you mean 'streaming_llm'?"));
    CHECK_THAT(refusal_of("zebra"),
               ContainsSubstring("unknown scorer 'zebra'; there are: ") && !ContainsSubstring("did you mean"));
    CHECK(refusal_of("h2o@sead") == "scorer 'h2o' has no preset 'sead'; did you mean 'seed'? There are: seed, paper");
    CHECK(refusal_of("hybrid@seed") == "scorer 'hybrid' has no preset 'seed'; there is no preset");
    CHECK(refusal_of("streaming_llm:windw=3") ==
          "scorer 'streaming_llm' has no parameter 'windw'; did you mean 'window'? There are: sinks, window");
    CHECK(refusal_of("knorm:window=3") == "scorer 'knorm' has no parameter 'window'; there is no parameter");
}

TEST_CASE("a column or formula without its '=' is told of the '='") {
    for (const std::string formula : {"cumulative_attn", "window_attn:64", "recent_attn - 0.1*key_norm",
                                      "max(recent_attn, 0.5)", "rank:key_norm"}) {
        INFO(formula);
        CHECK(refusal_of(formula) ==
              "unknown scorer '" + formula + "'; it is a formula: did you mean '=" + formula + "'?");
    }
    CHECK_THAT(refusal_of("adakv(recent_attn)"), ContainsSubstring("did you mean '=recent_attn'?"));
    CHECK_THAT(refusal_of("42"), ContainsSubstring("unknown scorer '42'") && !ContainsSubstring("formula: did"));
}

TEST_CASE("a value out of range is answered with the range") {
    CHECK(refusal_of("streaming_llm:sinks=-1") ==
          "scorer 'streaming_llm': sinks=-1 is refused: sinks must be a whole number from 0 to 1024 (default 4)");
    CHECK_THAT(refusal_of("streaming_llm:sinks=1.5"), ContainsSubstring("must be a whole number from 0 to 1024"));
    CHECK_THAT(refusal_of("streaming_llm:sinks=four"), ContainsSubstring("sinks=four is refused"));
    CHECK_THAT(refusal_of("streaming_llm:sinks="), ContainsSubstring("sinks= is refused"));
    CHECK_THAT(refusal_of("pyramidkv:damping=nan"), ContainsSubstring("must be a number from 0 to 1 (default 0.5)"));
    CHECK_THAT(refusal_of("pyramidkv:damping=0.5x"), ContainsSubstring("is refused"));
    CHECK_THAT(refusal_of("random:original=2"), ContainsSubstring("original must be true or false (default 0)"));
}

TEST_CASE("text that is no scorer at all") {
    CHECK(refusal_of("  ") == "a scorer's name is empty");
    CHECK(refusal_of("h2o:") == "scorer 'h2o': '' is not param=value");
    CHECK(refusal_of("h2o:window") == "scorer 'h2o': 'window' is not param=value");
    CHECK_THAT(refusal_of("h2o@"), ContainsSubstring("has no preset ''"));
    CHECK_THAT(refusal_of("/nowhere/x.formula"), ContainsSubstring("/nowhere/x.formula: cannot be read: No such file"));
    CHECK_THAT(refusal_of("=recent_attn +"), ContainsSubstring("^"));
    const auto bad = formula_file("bad.formula", "recent_attn * nothing");
    CHECK_THAT(refusal_of(bad.string()), ContainsSubstring(bad.string()) && ContainsSubstring("nothing"));
}

TEST_CASE("signs in the wrong places are answered with what to write") {
    for (const auto& [typed, meant] : std::initializer_list<std::pair<std::string, std::string>>{
             {"streaming_llm:sinks=1:window=64", "streaming_llm:sinks=1,window=64"},
             {"streaming_llm:sinks=1;window=64", "streaming_llm:sinks=1,window=64"},
             {"streaming_llm:sinks=1 window=64", "streaming_llm:sinks=1,window=64"},
             {"streaming_llm:window = 64", "streaming_llm:window=64"},
             {"h2o:window:64", "h2o:window=64"},
             {"h2o@seed,window=64", "h2o@seed:window=64"},
             {"h2o:window=64@seed", "h2o@seed:window=64"},
             {"adakv@kvpress(snapkv@kvpress):alpha=0.3", "adakv@kvpress:alpha=0.3(snapkv@kvpress)"},
             {"adakv(streaming_llm:sinks=1:window=8)", "adakv(streaming_llm:sinks=1,window=8)"}}) {
        INFO(typed);
        const std::string refusal = refusal_of(typed);
        CHECK_THAT(refusal, ContainsSubstring("'" + typed + "' is no scorer; parameters stand behind one ':'"));
        CHECK(refusal.ends_with(": write '" + meant + "'"));
        CHECK(refusal_of(meant) == "accepted");
    }
    CHECK_THAT(refusal_of("h2o:clamp=1:window=64"),
               ContainsSubstring("write 'h2o:clamp=1,window=64'. Another fault in it: scorer 'h2o' has no parameter "
                                 "'clamp'; there are: window"));
    CHECK_THAT(refusal_of("h2o:window=64:sinks"), ContainsSubstring("window=64:sinks is refused"));

    CHECK(refusal_of("h2o@seed;adakv(snapkv@kvpress)") ==
          "'h2o@seed;adakv(snapkv@kvpress)' is no scorer; in a list commas "
          "stand between scorers: write 'h2o@seed,adakv(snapkv@kvpress)'");
    CHECK_THAT(refusal_of("h2o knorm:window=3"), ContainsSubstring("unknown scorer 'h2o knorm'"));
}

TEST_CASE("hostile names are refused at once") {
    std::string nested = "snapkv";
    for (int i = 0; i < 20'000; ++i) nested = nested.insert(0, "adakv(") + ")";
    CHECK_THAT(refusal_of(nested), ContainsSubstring("more than 8 wrappers around each other"));
    CHECK_THROWS_AS(split_scorer_list(nested + ",,"), UsageError);
    std::string ranks;
    for (int i = 0; i < 1'000'000; ++i) ranks += "rank:";
    CHECK_THAT(refusal_of("h2o:" + ranks), ContainsSubstring("is not param=value"));
    CHECK_THAT(refusal_of("=" + ranks + "position"), ContainsSubstring("is longer than 120 characters"));
}

TEST_CASE("a list is split between scorers only") {
    const auto split = [](std::string_view text) { return split_scorer_list(text); };
    using List = std::vector<std::string>;
    CHECK(split("h2o") == List{"h2o"});
    CHECK(split("a,b:x=1,y=2,max(1,2)") == List{"a", "b:x=1,y=2", "max(1,2)"});
    CHECK(split("a@p:x=1 , y=2, =if(a == b, 1, 2),c") == List{"a@p:x=1,y=2", "=if(a == b, 1, 2)", "c"});
    CHECK(split("a:x=1,y=2(b,c),d(=max(1, 2))") == List{"a:x=1,y=2(b,c)", "d(=max(1, 2))"});
    CHECK(split("dir/x.so:k=1,mine.formula") == List{"dir/x.so:k=1", "mine.formula"});
    CHECK_THROWS_AS(split("a,,b"), UsageError);
    CHECK_THROWS_AS(split("a,"), UsageError);
    CHECK_THROWS_AS(split(""), UsageError);
}

TEST_CASE("all scorers: the preset seed where there is one") {
    const PluginHost plain;
    std::vector<std::string> labels;
    for (const auto& scorer : all_scorers(plain)) labels.push_back(scorer.label());
    CHECK(labels == std::vector<std::string>{"evolved", "h2o@seed", "hybrid", "hybrid_start", "knorm@seed",
                                             "position_corrected_h2o", "pyramidkv@seed", "random@seed", "snapkv@seed",
                                             "streaming_llm@seed", "tova@seed"});
}

TEST_CASE("all scorers of the protocol prefill: every published preset, the rest by defaults, and wrappers") {
    PluginHost plain;
    std::vector<std::string> labels;
    for (const auto& scorer : all_prefill_scorers(plain)) labels.push_back(scorer.label());
    const auto has = [&](std::string_view label) { return std::ranges::count(labels, label) == 1; };
    for (const char* label :
         {"snapkv@kvpress", "snapkv@paper", "knorm@kvpress", "random", "hybrid", "observed_attention@kvpress",
          "adakv@kvpress(snapkv@kvpress)", "evolved@real", "adakv@kvpress(evolved@real)"})
        CHECK(has(label));
    for (const char* label : {"snapkv", "snapkv@seed", "random@seed", "adakv@kvpress", "lagkv@paper"})
        CHECK_FALSE(has(label));
}
