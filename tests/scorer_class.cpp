// In which class a scorer is: of built-in methods, of formulas, of wrappers, and of names in results.
// SPDX-License-Identifier: MIT
#include "framework/scorers/scorer_class.hpp"

#include <filesystem>

#include "framework/scorers/known_scorer.hpp"
#include "tests/support/catch.hpp"

using namespace evictlab;

namespace {

PluginHost& host() {
    static PluginHost instance;
    return instance;
}

ScorerClass class_of(std::string_view scorer) { return evictlab::class_of(make_scorer(scorer, host())); }

} // namespace

TEST_CASE("published methods read of the queries what their rules say, and so are query-aware or not") {
    struct Row {
        const char *scorer, *reads;
        bool query_aware, fused_attention;
    };
    for (const auto& [scorer, reads, query_aware, fused_attention] : {
             Row{"streaming_llm@kvpress", "kv", false, true},
             Row{"knorm@kvpress", "kv", false, true},
             Row{"lagkv@kvpress", "kv", false, true},
             Row{"leverage@kvpress", "kv", false, true}, // of a derived column
             Row{"cur@kvpress", "kv", false, true},
             Row{"expected_attention@kvpress", "all q", false, true},
             Row{"cap@kvpress", "all q", false, true},
             Row{"compactor@kvpress", "all q", false, true},
             Row{"tova@kvpress", "q1", true, true},
             Row{"snapkv@kvpress", "q64", true, true},
             Row{"snapkv@paper", "q32", true, true},
             Row{"snapkv@kvpress:window=16", "q16", true, true},
             Row{"dropkv@kvpress", "q32", true, true},
             Row{"defensivekv@paper", "q32", true, true},
             Row{"rkv@paper", "q8", true, true},
             Row{"norm_sum@openvino", "q8", true, true},
             Row{"sum@openvino:snapkv=0", "all attn", true, false},
             Row{"adaptive_rkv@openvino", "q8", true, true}, // and keys, which say nothing of queries
             Row{"h2o@paper", "all attn", true, false},
             Row{"observed_attention@kvpress", "all attn", true, false},
         }) {
        INFO(scorer);
        const ScorerClass found = class_of(scorer);
        CHECK(found.reads() == reads);
        CHECK(found.query_aware() == query_aware);
        CHECK(found.fused_attention() == fused_attention);
        CHECK(found.passes == 1);
        CHECK_FALSE(found.calibrated);
    }
}

TEST_CASE("whole blocks, as many in all heads and layers, are uniform budgets") {
    for (const char* scorer : {"norm_sum@openvino", "sum@openvino", "kvcrush@openvino", "adaptive_rkv@openvino"})
        CHECK(class_of(scorer).budget_kind() == BudgetKind::uniform);
    CHECK(class_of("pyramidkv@kvpress").budget_kind() == BudgetKind::layer);
}

TEST_CASE("what a plugin does with queries, keys and values themselves, only it knows") {
    const ScorerClass found = class_of("keydiff@paper");
    CHECK(found.reads() == "qkv");
    CHECK_FALSE(found.query_aware().has_value());
    CHECK(found.fused_attention());
}

TEST_CASE("a formula reads what its columns do together") {
    CHECK(class_of("=key_norm - value_norm + position").reads() == "kv");
    CHECK(class_of("=recent_attn + window_attn:8").reads() == "q33");
    CHECK(class_of("=replayed_attn:16").reads() == "q16");
    CHECK(class_of("=replayed_attn:all").reads() == "all q");
    CHECK(class_of("=rank:window_attn:32 + zscore:expected_attn").reads() == "q32 + all q");
    CHECK(class_of("=cumulative_attn + expected_attn").reads() == "all attn");
}

TEST_CASE("a wrapper reads what its base does, and budgets are its own and its base's") {
    const ScorerClass ada = class_of("adakv@kvpress(snapkv@kvpress)");
    CHECK(ada.reads() == "q64");
    CHECK(ada.query_aware() == true);
    CHECK(ada.budgets() == "head");
    CHECK(class_of("criticalkv@kvpress(knorm@kvpress)").reads() == "kv");
    CHECK(class_of("criticalkv@kvpress(knorm@kvpress)").budgets() == "uniform");
    CHECK(class_of("pyramidkv@kvpress").budgets() == "layer");
    CHECK(class_of("adakv@paper(pyramidkv@paper)").budgets() == "head and layer");
    CHECK(class_of("adakv@kvpress(pyramidkv@kvpress)").budgets() == "head"); // it asks for equal layers
}

TEST_CASE("what is read is written in few letters and taken from them") {
    for (const char* reads : {"kv", "q1", "q64", "all q", "all attn", "q32 + all q", "qkv"}) {
        const auto taken = class_that_reads(reads);
        REQUIRE(taken.has_value());
        CHECK(taken->reads() == reads);
    }
    for (const char* other : {"", "q", "q0", "q-1", "q64x", "q064", "all", "q64+all q", "all q + q64", "kv + all q",
                              "q18446744073709551615", "q99999999999999999999", "all q + "})
        CHECK_FALSE(class_that_reads(other).has_value());
}

TEST_CASE("words say the class in full") {
    CHECK(in_words(class_of("snapkv@paper")) == "query-aware, one pass, not calibrated, uniform budgets, with fused "
                                                "attention; reads the attention of the last 32 queries");
    CHECK(in_words(class_of("h2o@paper")) == "query-aware, one pass, not calibrated, uniform budgets, not with fused "
                                             "attention; reads the attention of all queries");
    CHECK_THAT(in_words(class_of("knorm@kvpress")),
               ContainsSubstring("query-agnostic, one pass") && ContainsSubstring("; reads nothing of queries"));
    CHECK_THAT(in_words(class_of("=window_attn:8 + expected_attn")),
               ContainsSubstring("; reads the attention of the last 8 queries, and all queries by themselves"));
}

TEST_CASE("a name in a result opens no library and no formula file") {
    const std::string library = EVICTLAB_TEST_PLUGINS "/tuned/scales.so";
    REQUIRE(std::filesystem::exists(library));
    const PluginHost plain;
    const std::size_t plugins = plain.plugins().size();
    CHECK_FALSE(known_scorer(library, plain).has_value());
    CHECK_FALSE(known_scorer("adakv@kvpress(" + library + ")", plain).has_value());
    CHECK_FALSE(known_scorer("/dev/zero.formula", plain).has_value());
    CHECK(plain.plugins().size() == plugins);
    for (const char* none : {"", "no_such_plugin", "snapkv@no_such_preset", "snapkv:window=-1", "adakv@kvpress",
                             "=no_such_column", "champion 0123abcd"})
        CHECK_FALSE(known_scorer(none, plain).has_value());
    CHECK(known_scorer("adakv@kvpress(snapkv@paper)", plain)->label() == "adakv@kvpress(snapkv@paper)");
    CHECK(known_scorer("=window_attn:8", plain)->is_formula());
}
