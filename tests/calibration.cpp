// Calibrations: where one is found, what it must be of, and that results name it. SPDX-License-Identifier: MIT
#include <evictlab/evictlab.h>
#include <fmt/format.h>

#include "base/digest/digest.hpp"
#include "base/json/json.hpp"
#include "evolution/search.hpp"
#include "framework/bench/scorecard.hpp"
#include "framework/capture/calibration_file.hpp"
#include "framework/capture/suites.hpp"
#include "framework/protocols/all_that_run.hpp"
#include "framework/protocols/protocol.hpp"
#include "report/bench_json.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/temporary_folder.hpp"
#include "tests/support/trace_writer.hpp"

using namespace evictlab;
using namespace evictlab::test;
namespace fs = std::filesystem;

namespace {

/// Of the made-up traces' model: 6 layers with 4 query heads, 2 KV heads and a head_dim of 6; layers 1 and 4 are held.
TensorFile made_calibration(const std::string& layers = "1,4") {
    TensorFile file;
    file.metadata = {{"format", "evictlab-calibration/1"},
                     {"model", "made-up"},
                     {"num_layers", "6"},
                     {"query_heads", "4"},
                     {"kv_heads", "2"},
                     {"head_dim", "6"},
                     {"layers", layers},
                     {"documents", R"([{"document": "elsewhere"}])"}};
    std::size_t held = 0;
    for (const char layer : layers) {
        if (layer == ',') continue;
        ++held;
        const auto ramp = [layer](std::size_t count) {
            std::vector<double> values;
            for (std::size_t i = 0; i < count; ++i) values.push_back((static_cast<double>(i % 7) - 3) / (layer - '0'));
            return stored("F32", values);
        };
        file.add(fmt::format("layers.{}.query_axis", layer), {2, 6}, ramp(12));
        file.add(fmt::format("layers.{}.query_mean", layer), {4, 6}, ramp(24));
        file.add(fmt::format("layers.{}.query_abs_mean", layer), {4, 3}, ramp(12));
    }
    std::vector<double> scores(held * 2), shares;
    for (std::size_t i = 0; i < scores.size(); ++i) scores[i] = static_cast<double>(i);
    for (std::size_t i = 0; i < 99 * scores.size(); ++i)
        shares.push_back(static_cast<double>(i) / static_cast<double>(99 * scores.size()));
    file.add("constants.duo_attention", {held, 2}, stored("F32", scores));
    file.add("tables.lukv", {99, held, 2}, stored("F32", shares));
    return file;
}

struct MadeSuite {
    TemporaryFolder folder;
    fs::path suite = folder / "suite", file = folder / "own.safetensors";

    MadeSuite() {
        fs::create_directories(suite);
        TraceShape train, valid, test;
        valid.document = "another", valid.split = "valid", valid.seed = 2;
        test.document = "a third", test.split = "test", test.seed = 3;
        write_suite(suite, {train, valid, test});
        put(file, made_calibration().bytes());
    }
    /// Into suite.json.
    void install(const TensorFile& calibration) const {
        put(suite / "calibration.safetensors", calibration.bytes());
        Json json = Json::parse(bytes_of(suite / "suite.json"));
        json["calibration_file"] = {{"file", "calibration.safetensors"}, {"sha256", sha256_hex(calibration.bytes())}};
        put(suite / "suite.json", json.dump());
    }
    Suite open(const std::string& calibration = {}) const {
        SuiteOptions options;
        options.calibration = calibration;
        return open_captured_suite(suite, options);
    }
};

std::string refusal_of(const std::string& scorer, const Suite& suite, const char* protocol = "prefill") {
    static PluginHost host;
    return refusal(make_scorer(scorer, host), suite, protocol);
}

} // namespace

TEST_CASE("a suite's own calibration, or the one that is asked for, serves plugins, wrappers and formulas") {
    const MadeSuite made;
    PluginHost host;
    const Suite without = made.open();
    const auto lacking = left_out_of_all(host, without, "prefill");
    REQUIRE(lacking.size() == 2); // second passes, too
    CHECK(std::ranges::count(lacking[0].labels, "qfilter@kvpress") == 1);
    CHECK(lacking[0].why == "the suite has no calibration");
    for (const char* scorer :
         {"qfilter@kvpress", "=calibrated:duo_attention + position", "lukv@kvpress(knorm@kvpress)"})
        CHECK_THAT(refusal_of(scorer, without), ContainsSubstring("evictlab-calibrate"));
    const Suite asked = made.open(made.file.string());
    made.install(made_calibration());
    const Suite own = made.open();
    CHECK(own.hash() == without.hash());
    CHECK(asked.hash() == without.hash());
    for (const LackingScorers& each : left_out_of_all(host, own, "prefill"))
        CHECK(std::ranges::count(each.labels, "qfilter@kvpress") == 0);
    std::vector<Scorer> scorers;
    for (const char* text :
         {"qfilter@paper:window=2", "triattention@paper", "duo_attention@kvpress:sinks=2,recent=4",
          "lukv@kvpress(knorm@kvpress)", "=rank:calibrated:lukv:row=50 + tri_score:raw + query_axis"})
        scorers.push_back(make_scorer(text, host));
    const Bench one = run_bench(asked, scorers), two = run_bench(own, scorers);
    REQUIRE(one.failures.empty());
    REQUIRE(one.rows.size() >= scorers.size());
    for (std::size_t row = 0; row < scorers.size(); ++row) {
        CHECK(one.rows[row].splits[2].by_retention == two.rows[row].splits[2].by_retention);
        CHECK(one.rows[row].scorer_class->calibrated);
    }
    CHECK(one.sources.at("calibration") == "sha256:" + sha256_hex(made_calibration().bytes()));
    const Json json = report::to_json(one);
    CHECK(report::bench_from_json(json, "x").sources == one.sources);
    CHECK(make_suite_from_parameters(asked.parameters_json()).calibration() != nullptr);
    CHECK(run_bench(own, std::vector{make_scorer("knorm@kvpress", host)}).sources.empty());
    CHECK_THAT(refusal_of("qfilter@kvpress", own, "rescore"), ContainsSubstring("prefill or decode"));
    BenchOptions decoding;
    decoding.protocol = "decode";
    CHECK(run_bench(own, std::vector{make_scorer("triattention@paper", host)}, decoding).failures.empty());
}

TEST_CASE("a calibration that does not fit is refused by what it is of") {
    const MadeSuite made;
    const auto change = [&](const char* key, const char* value) {
        TensorFile file = made_calibration();
        file.metadata[key] = value;
        put(made.file, file.bytes());
        return made.file.string();
    };
    CHECK_THROWS_WITH(made.open(change("model", "other")),
                      ContainsSubstring("a calibration of the model 'other', but the suite"));
    CHECK_THROWS_WITH(made.open(change("num_layers", "7")),
                      ContainsSubstring("is of 7 layers") && ContainsSubstring("here are 6 layers"));
    CHECK_THROWS_WITH(made.open(change("query_heads", "8")), ContainsSubstring("layers.1.query_mean"));
    CHECK_THROWS_WITH(made.open(change("layers", "4,1")), ContainsSubstring("not ascending"));
    CHECK_THROWS_WITH(made.open(change("layers", "1,9")), ContainsSubstring("from 0 to 5"));
    CHECK_THROWS_WITH(made.open(change("format", "evictlab-trace/1")), ContainsSubstring("evictlab-calibration/1"));
    CHECK_THROWS_WITH(made.open(change("documents", R"([{"document": "a third"}])")),
                      ContainsSubstring("which is in the split test"));
    CHECK_THROWS_WITH(made.open((made.folder / "none").string()), ContainsSubstring("none"));
    SuiteOptions options;
    options.calibration = made.file.string();
    CHECK_THROWS_WITH(make_suite("micro", options), ContainsSubstring("captured from a model"));
    put(made.file, made_calibration("1").bytes());
    const Suite gap = made.open(made.file.string());
    CHECK_THAT(refusal_of("triattention@paper", gap), ContainsSubstring("holds layer 4") && ContainsSubstring("lacks"));
    CHECK(refusal_of("knorm@kvpress", gap).empty());
    put(made.file, made_calibration().bytes());
    CHECK_THAT(refusal_of("=calibrated:mine", made.open(made.file.string())),
               ContainsSubstring("no constants 'mine'; it has duo_attention, lukv"));
}

TEST_CASE("verifying a suite looks at its calibration") {
    const MadeSuite made;
    made.install(made_calibration());
    CHECK(verify_suite(made.suite).empty());
    put(made.suite / "calibration.safetensors", made_calibration("1").bytes());
    const auto findings = verify_suite(made.suite);
    REQUIRE(findings.size() == 1);
    CHECK_THAT(findings[0], ContainsSubstring("calibration.safetensors") && ContainsSubstring("suite.json says"));
    CHECK_THROWS_WITH(made.open(), ContainsSubstring("suite.json says"));
}

TEST_CASE("a run that reads a calibration goes on with none but that") {
    const MadeSuite made;
    PluginHost host;
    const auto setup_of = [&](const std::string& calibration, const char* start) {
        evolution::SearchSuites search = evolution::new_search({{made.open(calibration)}, "", {}});
        search.references.emplace_back();
        evolution::RunSetup setup;
        setup.config.start = start;
        setup.config.start_formula = formula::parse(start);
        evolution::describe(search, setup);
        return setup;
    };
    const std::vector<double> retentions{0.5};
    const auto reads = setup_of(made.file.string(), "calibrated:duo_attention + position");
    const auto plain = setup_of(made.file.string(), "position");
    CHECK(reads.identity.calibration == "sha256:" + sha256_hex(made_calibration().bytes()));
    CHECK(plain.identity.calibration.empty());
    TensorFile other = made_calibration();
    other.metadata["made_by"] = "somebody else";
    const fs::path file = made.folder / "other.safetensors";
    put(file, other.bytes());
    const auto saved = evolution::to_json(reads, retentions);
    CHECK_NOTHROW(evolution::check_resumable(saved, reads, retentions));
    CHECK_THROWS_WITH(
        evolution::check_resumable(saved, setup_of(file.string(), "calibrated:duo_attention + position"), retentions),
        ContainsSubstring("suite/calibration is") && ContainsSubstring("give the calibration"));
    CHECK_NOTHROW(evolution::check_resumable(evolution::to_json(plain, retentions), setup_of(file.string(), "position"),
                                             retentions));
}

TEST_CASE("libevictlab reads one for the scorers that it opens") {
    const MadeSuite made;
    evl_failure failure{};
    evl_lab* lab = nullptr;
    evl_scorer* scorer = nullptr;
    REQUIRE(evl_lab_open(nullptr, 0, &lab, &failure) == EVL_OK);
    const auto lists = [&](std::string_view label) {
        for (std::uint64_t i = 0; i < evl_lab_scorer_count(lab); ++i)
            if (evl_lab_scorer(lab, i) == label) return true;
        return false;
    };
    CHECK_FALSE(lists("triattention@paper"));
    CHECK(evl_scorer_open(lab, "triattention@paper", &scorer, &failure) == EVL_USAGE);
    CHECK_THAT(std::string(failure.text), ContainsSubstring("tri_score") && ContainsSubstring("evictlab-calibrate"));
    CHECK(evl_lab_calibration(lab, "/nowhere", &failure) == EVL_FAILED);
    REQUIRE(evl_lab_calibration(lab, made.file.c_str(), &failure) == EVL_OK);
    CHECK(lists("triattention@paper"));
    REQUIRE(evl_scorer_open(lab, "lukv@kvpress(triattention@paper)", &scorer, &failure) == EVL_OK);
    evl_lab_close(lab);
    evl_needs needs{};
    needs.struct_size = sizeof needs;
    evl_scorer_needs(scorer, &needs);
    CHECK(needs.calibration == 1);
    CHECK(needs.queries == 0);

    const CapturedTrace trace(made.suite / "0.safetensors");
    const OwnedLayer loaded = trace.load_layer(4);
    const LayerView view = loaded.view();
    const std::vector<float> v(loaded.v.begin(), loaded.v.end());
    evl_layer layer{};
    layer.struct_size = sizeof layer;
    layer.layer = 4, layer.num_layers = 6, layer.query_heads = 4, layer.kv_heads = 2, layer.dim = 6;
    layer.tokens = static_cast<std::uint32_t>(view.prompt);
    layer.k = view.k, layer.v = view.v;
    layer.k_head_stride = layer.v_head_stride = static_cast<std::ptrdiff_t>(view.k_stride);
    layer.k_token_stride = layer.v_token_stride = 6;
    layer.rope_inv_freq = view.rope_inv_freq.data();
    layer.rope_scale = layer.softmax_scale = 1;
    std::vector<double> scores(2 * view.prompt);
    std::vector<std::uint64_t> counts(2);
    REQUIRE(evl_scorer_score(scorer, &layer, 0.5, scores.data(), counts.data(), &failure) == EVL_OK);
    // Row 49 of the table, place 1 of 2 layers, heads 0 and 1.
    CHECK(counts[0] + counts[1] == 16);
    layer.num_layers = 7;
    CHECK(evl_scorer_score(scorer, &layer, 0.5, scores.data(), nullptr, &failure) == EVL_FAILED);
    CHECK_THAT(std::string(failure.text), ContainsSubstring("is of 6 layers"));
    layer.num_layers = 6, layer.layer = 2;
    CHECK(evl_scorer_score(scorer, &layer, 0.5, scores.data(), nullptr, &failure) == EVL_FAILED);
    CHECK_THAT(std::string(failure.text), ContainsSubstring("lacks layer 2; it holds 1, 4"));
    evl_scorer_close(scorer);
}
