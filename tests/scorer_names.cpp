// Scorers from what a person types: every form, and what a wrong one is told.
// SPDX-License-Identifier: MIT
#include <evictlab/scorer.h>

#include <filesystem>
#include <fstream>

#include "framework/evaluation/scorer.hpp"
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

TEST_CASE("a library by its path is named by its id") {
    const std::string path = EVICTLAB_TEST_PLUGINS "/written/c_scorer.so";
    CHECK(make_scorer(path, host()).label() == "c_scorer");
    const auto scorer = make_scorer(path + "@soft:sinks=2", host());
    CHECK(scorer.label() == "c_scorer@soft:sinks=2");
    CHECK(std::vector<double>(scorer.values().begin(), scorer.values().end()) == std::vector<double>{2, 0.5});
    CHECK_THROWS_AS(make_scorer("/nowhere/x.so", host()), PluginError);
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
    CHECK(refusal_of("h2o@sead") == "scorer 'h2o' has no preset 'sead'; did you mean 'seed'? There are: seed");
    CHECK(refusal_of("hybrid@seed") == "scorer 'hybrid' has no preset 'seed'; there is no preset");
    CHECK(refusal_of("streaming_llm:windw=3") ==
          "scorer 'streaming_llm' has no parameter 'windw'; did you mean 'window'? There are: sinks, window");
    CHECK(refusal_of("knorm:window=3") == "scorer 'knorm' has no parameter 'window'; there is no parameter");
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
    CHECK_THAT(refusal_of("/nowhere/x.formula"), ContainsSubstring("'/nowhere/x.formula' cannot be read"));
    CHECK_THAT(refusal_of("=recent_attn +"), ContainsSubstring("^"));
    const auto bad = formula_file("bad.formula", "recent_attn * nothing");
    CHECK_THAT(refusal_of(bad.string()), ContainsSubstring(bad.string()) && ContainsSubstring("nothing"));
}

TEST_CASE("a list is split between scorers only") {
    const auto split = [](std::string_view text) { return split_scorer_list(text); };
    using List = std::vector<std::string>;
    CHECK(split("h2o") == List{"h2o"});
    CHECK(split("a,b:x=1,y=2,max(1,2)") == List{"a", "b:x=1,y=2", "max(1,2)"});
    CHECK(split("a@p:x=1 , y=2, =if(a == b, 1, 2),c") == List{"a@p:x=1,y=2", "=if(a == b, 1, 2)", "c"});
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
