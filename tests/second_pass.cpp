// Methods that read a second pass over the prompt: their columns, what they keep against kvpress's own program on a
// real model, and suites with and without such passes. SPDX-License-Identifier: MIT
#include <evictlab/scorer.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "base/digest/digest.hpp"
#include "base/error.hpp"
#include "evolution/search.hpp"
#include "framework/bench/scorecard.hpp"
#include "framework/capture/captured_suite.hpp"
#include "framework/capture/reconstruction.hpp"
#include "framework/cut/top_k.hpp"
#include "framework/protocols/all_that_run.hpp"
#include "framework/protocols/protocol.hpp"
#include "framework/scorers/scorer_class.hpp"
#include "framework/scoring/prompt_columns.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/methods_presses.hpp"
#include "tests/support/temporary_folder.hpp"

using namespace evictlab;
using namespace evictlab::test;
namespace fs = std::filesystem;

namespace {

const std::string data = EVICTLAB_TEST_DATA "/methods-2/";
constexpr std::size_t fixture_layers[] = {0, 14, 29};
constexpr const char* budgets[] = {"0.25", "0.5", "0.75"};

const nlohmann::json& kept_by_kvpress() {
    static const auto kept = nlohmann::json::parse(std::ifstream(data + "second_pass_kept.json"));
    return kept;
}

/// [heads][tokens] of a layer, by the name that the fixtures have for the method.
std::vector<double> fixture_scores(const std::string& method, std::size_t layer) {
    static const auto tensors = read_safetensors(data + "second_pass.safetensors");
    const auto& values = tensors.at("score." + method).values;
    const auto size = static_cast<std::ptrdiff_t>(values.size() / 30),
               begin = static_cast<std::ptrdiff_t>(layer) * size;
    return {values.begin() + begin, values.begin() + begin + size};
}

PluginHost& host() {
    static PluginHost instance;
    return instance;
}

std::string why_not(const std::string& scorer, const Suite& suite, std::string_view protocol) {
    return refusal(make_scorer(scorer, host()), suite, protocol);
}

/// A copy of the shipped suite, to be spoilt.
struct CopiedSuite {
    TemporaryFolder folder;
    CopiedSuite() { fs::copy(*captured_suite_by_name("smollm2"), path()); }
    fs::path path() const { return folder / "smollm2"; }

    nlohmann::json manifest() const { return nlohmann::json::parse(std::ifstream(path() / "suite.json")); }
    void write(const nlohmann::json& manifest) const { std::ofstream(path() / "suite.json") << manifest.dump(); }
};

} // namespace

TEST_CASE("the cells go that kvpress's own programs evict, over the model or layer by layer") {
    struct Row {
        const char *method, *scores, *scorer;
    };
    const auto& fixture = kept_by_kvpress();
    for (const Row& row :
         {Row{"kvzip", "kvzip", "kvzip@kvpress"}, Row{"kvzip_plus", "kvzip_plus", "kvzip_plus@kvpress"},
          Row{"kvgrad", "kvgrad", "kvgrad@kvpress"}, Row{"kvzip_c128", "kvzip_c128", "kvzip@kvpress"},
          Row{"kvgrad_c128", "kvgrad_c128", "kvgrad@kvpress"},
          Row{"kvzip_layerwise", "kvzip", "kvzip@kvpress:layerwise=1"}})
        for (const char* budget : budgets) {
            const double removed = std::stod(budget);
            std::vector<Selected> selected; // the layers differ here by their second passes alone
            for (std::size_t l = 0; l < 30; ++l)
                selected.push_back(select(row.scorer, methods_layer(14), removed, [&](const auto&, const auto& name) {
                    CHECK(name.starts_with("reconstruction_attn"));
                    return fixture_scores(row.scores, l);
                }));
            std::vector<evl_scored_layer> told;
            for (const Selected& layer : selected)
                told.push_back({static_cast<std::uint32_t>(told.size()), 3, 297, 0, 0, layer.scores.data(), nullptr});
            std::vector<std::uint64_t> counts(90);
            const Scorer scorer = make_scorer(row.scorer, host());
            scorer.plugin()
                ->create(scorer.values())
                ->model_budgets({sizeof(evl_model_query), 30, 30, sizeof(evl_scored_layer), removed, told.data()},
                                counts);
            for (const std::size_t l : fixture_layers)
                for (std::size_t head = 0; head < 3; ++head) {
                    INFO(row.method << ", layer " << l << ", head " << head << ", removed " << budget);
                    const auto at = [&](const char* what) -> const auto& {
                        return fixture.at(what).at(row.method).at(budget).at(std::to_string(l))[head];
                    };
                    const auto scores = std::span(selected[l].scores).subspan(head * 297, 297);
                    const auto kept = top_k(scores, counts[l * 3 + head]);
                    CHECK(difference({kept.begin(), kept.end()}, at("kept").template get<std::vector<std::size_t>>(),
                                     scores, at("gap").template get<double>()) == "");
                }
            const auto lengths =
                fixture.at("lengths").at(row.method).at(budget).get<std::vector<std::vector<std::uint64_t>>>();
            for (std::size_t l = 0; l < 30; ++l)
                CHECK(std::vector(counts.begin() + static_cast<std::ptrdiff_t>(3 * l),
                                  counts.begin() + static_cast<std::ptrdiff_t>(3 * l + 3)) == lengths[l]);
        }
}

TEST_CASE("a column is the array of the second pass that it names") {
    OwnedLayer layer;
    layer.shape = {4, 2, 5, 2};
    layer.q.assign(40, 1.0F);
    layer.k.assign(20, 1.0F);
    layer.v.assign(20, 1.0F);
    layer.rope_inv_freq = {1};
    layer.softmax_scale = 1;
    layer.prompt = 3;
    const std::vector<double> types(padded(5));
    layer.token_type = types.data();
    for (int i = 0; i < 18; ++i) layer.reconstruction.push_back(static_cast<float>(i));
    const LayerView view = layer.view();
    const AttentionRows rows(view);
    const std::vector<ColumnId> ids{columns::intern("reconstruction_attn"), columns::intern("reconstruction_attn:plus"),
                                    columns::intern("reconstruction_attn:grad"),
                                    columns::intern("rank:reconstruction_attn")};
    PromptColumns computed(view, &rows, ids);
    for (std::size_t kind = 0; kind < 3; ++kind) {
        std::ptrdiff_t stride = 0;
        const double* values = computed.columns().filled(kind, stride);
        for (std::ptrdiff_t head = 0; head < 2; ++head)
            for (std::ptrdiff_t i = 0; i < 3; ++i)
                CHECK(values[head * stride + i] ==
                      static_cast<double>(kind) * 6 + static_cast<double>(head) * 3 + static_cast<double>(i));
    }
    CHECK_THROWS_WITH(columns::intern("reconstruction_attn:max"), ContainsSubstring("reconstruction_attn:grad"));
}

TEST_CASE("scorers that read a second pass are a class of their own, however they read it") {
    const auto class_named = [](const std::string& scorer) { return class_of(make_scorer(scorer, host())); };
    for (const char* scorer :
         {"kvzip@kvpress", "kvzip_plus@kvpress", "kvgrad@kvpress", "=reconstruction_attn + key_norm",
          "=rank:reconstruction_attn:plus", "criticalkv@kvpress(=reconstruction_attn)"}) {
        INFO(scorer);
        const ScorerClass found = class_named(scorer);
        CHECK(found.passes == 2);
        CHECK(found.reads() == "2nd pass");
        CHECK(found.query_aware() == false);
        CHECK(found.fused_attention());
        CHECK(class_that_reads(found.reads())->passes == 2);
    }
    const ScorerClass both = class_named("=reconstruction_attn * window_attn:16");
    CHECK(both.reads() == "q16 + 2nd pass");
    CHECK(class_that_reads("q16 + 2nd pass")->attention == 16);
    CHECK(both.query_aware() == true);
    CHECK_THAT(in_words(both), ContainsSubstring("2 passes") && ContainsSubstring("and a second pass over the prompt"));
    CHECK(class_named("snapkv@kvpress").passes == 1);
}

TEST_CASE("suites with second passes run the scorers by prefill, and others say what is missing") {
    const Suite whole = open_captured_suite(*captured_suite_by_name("smollm2"));
    CHECK(whole.has_reconstructions());
    CHECK(why_not("kvzip@kvpress", whole, "prefill").empty());
    CHECK(why_not("=reconstruction_attn:grad + key_norm", whole, "prefill").empty());
    CHECK_THAT(why_not("kvzip@kvpress", whole, "decode"),
               ContainsSubstring("'reconstruction_attn'") && ContainsSubstring("the protocol decode has none"));
    CHECK_THAT(why_not("kvgrad@kvpress", whole, "rescore"), ContainsSubstring("the protocol rescore has none"));

    const CopiedSuite copy;
    auto manifest = copy.manifest();
    manifest["files"][3].erase("reconstruction");
    copy.write(manifest);
    const Suite without = open_captured_suite(copy.path());
    CHECK(without.hash() == whole.hash());
    CHECK(without.reconstruction().empty());
    CHECK_THAT(why_not("=rank:reconstruction_attn", without, "prefill"), ContainsSubstring("--reconstruct"));
    const auto offers = [&](const Suite& suite, const std::string& scorer) {
        return std::ranges::any_of(all_that_run(host(), suite, "prefill"),
                                   [&](const Scorer& each) { return each.label() == scorer; });
    };
    for (const char* scorer : {"kvzip@kvpress", "kvzip_plus@kvpress", "kvgrad@kvpress"}) {
        CHECK(offers(whole, scorer));
        CHECK_FALSE(offers(without, scorer));
    }
    SuiteOptions first;
    first.patterns = 1;
    const Suite some = open_captured_suite(copy.path(), first);
    CHECK(some.has_reconstructions()); // of the documents that are used
    CHECK(some.reconstruction() != whole.reconstruction());
}

TEST_CASE("a bench says which second passes it read, and among how many layers model budgets are divided") {
    const CopiedSuite copy;
    auto manifest = copy.manifest();
    SuiteOptions first;
    first.patterns = 1;
    const Suite suite = open_captured_suite(copy.path(), first);
    BenchOptions options;
    options.retentions = {0.5};
    options.only = SearchSplit::valid;
    options.for_search = true;
    const Bench twice = run_bench(suite, std::vector{make_scorer("kvzip@kvpress", host())}, options);
    CHECK(twice.sources.at("reconstruction") == suite.reconstruction());
    CHECK(twice.sharing_layers == std::vector<SharingLayers>{{3, 30}});
    const Bench once = run_bench(suite, std::vector{make_scorer("knorm@kvpress", host())}, options);
    CHECK(once.sources.empty());
    CHECK(once.sharing_layers.empty());
}

TEST_CASE("what all leaves out for want of a second pass is said, with what to do") {
    const CopiedSuite copy;
    const Suite whole = open_captured_suite(copy.path());
    auto manifest = copy.manifest();
    for (auto& file : manifest["files"]) file.erase("reconstruction");
    copy.write(manifest);
    const Suite without = open_captured_suite(copy.path());
    const auto names_kvzip = [](const LackingScorers& each) {
        return std::ranges::count(each.labels, "kvzip@kvpress") > 0;
    };
    const auto lacking = left_out_of_all(host(), without, "prefill");
    const auto found = std::ranges::find_if(lacking, names_kvzip);
    REQUIRE(found != lacking.end());
    CHECK(std::ranges::count(found->labels, "snapkv@kvpress") == 0);
    CHECK(found->why == "some trace of the suite lacks its second pass");
    CHECK_THAT(found->remedy, ContainsSubstring("--reconstruct"));
    CHECK(std::ranges::none_of(left_out_of_all(host(), whole, "prefill"), names_kvzip));
    CHECK(std::ranges::none_of(left_out_of_all(host(), without, "decode"), names_kvzip)); // which has none on any suite
}

TEST_CASE("no second pass is among what errors of a search are relative to") {
    const std::vector<fs::path> folders{fs::path(EVICTLAB_TEST_PLUGINS) / "second_pass"};
    PluginHost with(folders);
    const Suite suite = open_captured_suite(*captured_suite_by_name("smollm2"));
    const auto has = [](const std::vector<Scorer>& scorers, std::string_view label) {
        return std::ranges::count(scorers, label, &Scorer::label) > 0;
    };
    REQUIRE(has(all_that_run(with, suite, "prefill"), "toy_second_pass@paper")); // published, of uniform budgets
    const std::vector<Scorer> references = evolution::reference_scorers(with, suite);
    CHECK(has(references, "snapkv@kvpress"));
    for (const char* other : {"toy_second_pass@paper", "kvzip@kvpress", "defensivekv@paper", "evolved@real"})
        CHECK_FALSE(has(references, other));
}

TEST_CASE("a run that reads second passes goes on with none but those") {
    const CopiedSuite copy;
    const std::vector<double> retentions{0.5};
    const auto setup_of = [&](const char* start) {
        evolution::SearchSuites search = evolution::new_search({{open_captured_suite(copy.path())}, "", {}});
        search.references.emplace_back();
        evolution::RunSetup setup;
        setup.config.start = start;
        setup.config.start_formula = formula::parse(start);
        evolution::describe(search, setup);
        return setup;
    };
    const char *reader = "rank:reconstruction_attn + position", *plain = "key_norm";
    const auto reads = setup_of(reader), others = setup_of(plain);
    CHECK(reads.identity.reconstruction == open_captured_suite(copy.path()).reconstruction());
    CHECK(others.identity.reconstruction.empty());
    const auto saved = evolution::to_json(reads, retentions), saved_plain = evolution::to_json(others, retentions);
    CHECK(saved["suite"]["reconstruction"] == reads.identity.reconstruction);
    CHECK_FALSE(saved_plain["suite"].contains("reconstruction"));
    CHECK_NOTHROW(evolution::check_resumable(saved, reads, retentions));
    auto before = saved; // as states of before had it: nothing to compare with
    before["suite"].erase("reconstruction");
    CHECK_NOTHROW(evolution::check_resumable(before, reads, retentions));
    auto manifest = copy.manifest();
    const auto second = manifest["files"][0]["reconstruction"];
    manifest["files"][0].erase("reconstruction");
    copy.write(manifest);
    CHECK_THROWS_WITH(evolution::check_resumable(saved, setup_of(reader), retentions),
                      ContainsSubstring("suite/reconstruction is") && ContainsSubstring("nothing") &&
                          ContainsSubstring("put the files of the second passes back"));
    CHECK_NOTHROW(evolution::check_resumable(saved_plain, setup_of(plain), retentions));

    // Another second pass of the same trace.
    const fs::path file = copy.path() / second["file"].get<std::string>();
    std::string bytes{std::istreambuf_iterator<char>(std::ifstream(file, std::ios::binary).rdbuf()), {}};
    bytes[bytes.size() - 4] = static_cast<char>(bytes[bytes.size() - 4] ^ 1);
    std::ofstream(file, std::ios::binary) << bytes;
    manifest["files"][0]["reconstruction"] = second;
    manifest["files"][0]["reconstruction"]["sha256"] = sha256_hex(bytes);
    copy.write(manifest);
    CHECK_THROWS_WITH(evolution::check_resumable(saved, setup_of(reader), retentions),
                      ContainsSubstring("suite/reconstruction is") && ContainsSubstring("sha256:"));
}

TEST_CASE("a second pass that is damaged, or of another trace, is refused by name") {
    const CopiedSuite copy;
    auto manifest = copy.manifest();
    CHECK(verify_suite(copy.path()).empty());
    const std::string first = manifest["files"][0]["reconstruction"]["file"];
    std::swap(manifest["files"][0]["reconstruction"], manifest["files"][1]["reconstruction"]);
    copy.write(manifest);
    CHECK_THROWS_WITH(open_captured_suite(copy.path()),
                      ContainsSubstring("it is no second pass over emma.safetensors"));
    std::swap(manifest["files"][0]["reconstruction"], manifest["files"][1]["reconstruction"]);
    copy.write(manifest);
    {
        std::fstream file(copy.path() / first, std::ios::in | std::ios::out | std::ios::binary);
        file.seekp(-4, std::ios::end);
        file.write("\x00\x00\xc0\x7f", 4); // a NaN
    }
    CHECK_THROWS_WITH(open_captured_suite(copy.path()), ContainsSubstring(first) && ContainsSubstring("SHA-256"));
    const auto findings = verify_suite(copy.path());
    REQUIRE(findings.size() == 2);
    CHECK_THAT(findings[0], ContainsSubstring("SHA-256"));
    CHECK_THAT(findings[1], ContainsSubstring("reconstruction") && ContainsSubstring("must be finite"));
    fs::remove(copy.path() / first);
    CHECK_FALSE(verify_suite(copy.path()).empty());
}
