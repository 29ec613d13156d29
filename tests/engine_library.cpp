// libevictlab_llama as a program that uses llama.cpp calls it. SPDX-License-Identifier: MIT
#include <evictlab/evictlab_llama.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <functional>
#include <sstream>

#include "tests/engine/tiny_sequence.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/process.hpp"

using namespace evictlab::test;

namespace {

struct Text {
    OpenTiny open;
    evl_lab* lab = nullptr;
    evl_scorer* scorer = nullptr;
    evl_llama* text = nullptr;
    evl_failure why{};

    explicit Text(const char* name, std::uint64_t cells, std::uint64_t every,
                  std::uint32_t granularity = EVL_LLAMA_HEAD) {
        REQUIRE(evl_lab_open(nullptr, 0, &lab, &why) == EVL_OK);
        REQUIRE(evl_scorer_open(lab, name, &scorer, &why) == EVL_OK);
        evl_llama_options options{};
        options.struct_size = sizeof options;
        options.scorer = scorer;
        options.cells = cells;
        options.every = every;
        options.granularity = granularity;
        llama_context_params params = llama_context_default_params();
        params.n_threads = 1;
        const evl_status status = evl_llama_open(open.model->get(), &params, &options, &text, &why);
        INFO(why.text);
        REQUIRE(status == EVL_OK);
    }
    Text(const Text&) = delete;
    ~Text() {
        evl_llama_close(text);
        evl_scorer_close(scorer);
        evl_lab_close(lab);
    }
    std::vector<float> feed(const std::vector<llama_token>& tokens) {
        const evl_status status = evl_llama_feed(text, tokens.data(), tokens.size(), &why);
        INFO(why.text);
        REQUIRE(status == EVL_OK);
        const float* logits = llama_get_logits_ith(evl_llama_context(text), -1);
        return {logits, logits + TinyLlama::vocabulary};
    }
};

double furthest(const std::vector<float>& a, const std::vector<double>& b) {
    double most = 0;
    for (std::size_t i = 0; i < a.size(); ++i) most = std::max(most, std::fabs(static_cast<double>(a[i]) - b[i]));
    return most;
}

constexpr double rounding = 0.03; // keys and values are F16 in the cache

} // namespace

TEST_CASE("A text of any length goes through the cells, at its true positions") {
    for (const std::uint32_t granularity : {EVL_LLAMA_HEAD, EVL_LLAMA_LAYER, EVL_LLAMA_MODEL}) {
        Text text("observed_attention@kvpress", 64, 16, granularity);
        const std::vector<llama_token> tokens = TinyLlama::tokens(text_of(2000));
        const auto model = text.open.tiny.run({tokens.begin(), tokens.begin() + 64}).logits;
        CHECK(furthest(text.feed({tokens.begin(), tokens.begin() + 64}), model.back()) < rounding);
        CHECK(evl_llama_evictions(text.text) == 0);
        const std::vector<float> last = text.feed({tokens.begin() + 64, tokens.end()});
        CHECK(std::ranges::all_of(last, [](float logit) { return std::isfinite(logit); }));
        CHECK(evl_llama_cells(text.text) <= 64);
        CHECK(evl_llama_position(text.text) == 2000);
        CHECK(evl_llama_evictions(text.text) == (2000 - 64) / 16);
        const llama_memory_t memory = llama_get_memory(evl_llama_context(text.text));
        CHECK(llama_memory_seq_pos_max(memory, 0) == 1999);

        // From the beginning again: the same.
        evl_llama_clear(text.text);
        CHECK(evl_llama_cells(text.text) == 0);
        CHECK(evl_llama_position(text.text) == 0);
        CHECK(text.feed(tokens) == last);
    }
}

TEST_CASE("Predictions behind an eviction are those of a model whose heads see what was kept") {
    const std::vector<llama_token> tokens = TinyLlama::tokens(text_of(61));
    Text text("=position", 100, 10);
    text.feed({tokens.begin(), tokens.begin() + 60});
    REQUIRE(evl_llama_evict(text.text, 13, &text.why) == EVL_OK);
    CHECK(evl_llama_cells(text.text) == 13);
    CHECK(evl_llama_position(text.text) == 60);
    KeptPositions latest(3, std::vector<std::vector<std::uint32_t>>(2));
    for (auto& layer : latest)
        for (auto& head : layer)
            for (std::uint32_t i = 47; i < 60; ++i) head.push_back(i);
    const std::vector<float> found = text.feed({tokens.back()});
    CHECK(furthest(found, text.open.tiny.run(tokens, 60, latest).logits.back()) < rounding);
    CHECK(furthest(found, text.open.tiny.run(tokens).logits.back()) > 10 * rounding);
    REQUIRE(evl_llama_evict(text.text, 50, &text.why) == EVL_OK); // no more are cached
    CHECK(evl_llama_cells(text.text) == 14);
}

TEST_CASE("Wrong use is told by a code and a text, and changes nothing") {
    Text text("snapkv@kvpress", 64, 16);
    const auto open = [&](const std::function<void(evl_llama_options&, llama_context_params&)>& change,
                          const char* scorer = "snapkv@kvpress") {
        evl_scorer* opened = nullptr;
        REQUIRE(evl_scorer_open(text.lab, scorer, &opened, nullptr) == EVL_OK);
        evl_llama_options options{};
        options.struct_size = sizeof options;
        options.scorer = opened;
        options.cells = 64;
        options.every = 16;
        llama_context_params params = llama_context_default_params();
        change(options, params);
        evl_llama* none = nullptr;
        const evl_status status = evl_llama_open(text.open.model->get(), &params, &options, &none, &text.why);
        CHECK(none == nullptr);
        evl_scorer_close(opened);
        return status == EVL_USAGE ? std::string(text.why.text) : "not refused: " + std::to_string(status);
    };
    const auto nothing = [](auto&, auto&) {};
    CHECK_THAT(open([](auto& o, auto&) { o.struct_size = 3; }), ContainsSubstring("options.struct_size is 3"));
    CHECK_THAT(open([](auto& o, auto&) { o.scorer = nullptr; }), ContainsSubstring("options.scorer is NULL"));
    CHECK_THAT(open([](auto& o, auto&) { o.cells = 1; }), ContainsSubstring("options.cells is 1"));
    CHECK_THAT(open([](auto& o, auto&) { o.every = 64; }),
               ContainsSubstring("options.every is 64, but must be from 1 to 63"));
    CHECK_THAT(open([](auto& o, auto&) { o.granularity = 3; }), ContainsSubstring("options.granularity is 3"));
    CHECK_THAT(open([](auto&, auto& p) { p.type_k = p.type_v = GGML_TYPE_Q8_0; }),
               ContainsSubstring("params.type_k is q8_0"));
    CHECK_THAT(open([](auto&, auto& p) { p.type_k = GGML_TYPE_F32; }), ContainsSubstring("both must be the same"));
    CHECK_THAT(open([](auto&, auto& p) { p.cb_eval = [](ggml_tensor*, bool, void*) { return true; }; }),
               ContainsSubstring("params.cb_eval is set"));
    CHECK_THAT(open(nothing, "adakv@kvpress(snapkv@kvpress)"), ContainsSubstring("heads keep different counts"));
    CHECK_THAT(open([](auto& o, auto&) { o.model_file = "tiny.gguf"; }, "evolved@real"),
               ContainsSubstring("the attention of all queries so far"));
    CHECK_THAT(open(nothing, "=wov_norm"), ContainsSubstring("options.model_file must name the GGUF file"));

    CHECK(evl_llama_open(nullptr, nullptr, nullptr, nullptr, &text.why) == EVL_USAGE);
    CHECK(std::string(text.why.text) == "model is NULL");
    const std::vector<llama_token> wrong{5, 260};
    CHECK(evl_llama_feed(text.text, wrong.data(), 2, &text.why) == EVL_USAGE);
    CHECK(std::string(text.why.text) == "tokens[1] is 260, but the model has 260 tokens");
    CHECK(evl_llama_feed(text.text, nullptr, 2, nullptr) == EVL_USAGE);
    CHECK(evl_llama_feed(nullptr, wrong.data(), 2, nullptr) == EVL_USAGE);
    CHECK(evl_llama_evict(text.text, 0, &text.why) == EVL_USAGE);
    CHECK(evl_llama_cells(text.text) == 0);
    CHECK(evl_llama_context(nullptr) == nullptr);
    evl_llama_close(nullptr);
    evl_llama_clear(nullptr);
}

TEST_CASE("A model that cannot be evicted from is a failure with its reason") {
    TinyLlama::File yarn;
    yarn.texts = {{"rope.scaling.type", "yarn"}};
    yarn.numbers = {{"rope.scaling.factor", 4}};
    const Text text("snapkv@kvpress", 64, 16);
    const OpenTiny stretched({}, yarn);
    evl_llama_options options{};
    options.struct_size = sizeof options;
    options.scorer = text.scorer;
    options.cells = 64;
    options.every = 16;
    evl_llama* none = nullptr;
    evl_failure why{};
    CHECK(evl_llama_open(stretched.model->get(), nullptr, &options, &none, &why) == EVL_FAILED);
    CHECK_THAT(std::string(why.text), ContainsSubstring("stretched by YaRN"));
}

TEST_CASE("The example chats on and on in a context that is far shorter, built by find_package") {
    const TemporaryFolder folder;
    TinyLlama().write(folder / "tiny.gguf");
    const std::string build = (folder / "build").string();
    const Outcome built =
        shell(fmt::format("cmake -S '{}/engine/example' -B '{}' -Devictlab_DIR='{}/lib/cmake/evictlab' && "
                          "cmake --build '{}'",
                          EVICTLAB_SOURCE_DIR, build, EVICTLAB_BUILD_DIR, build));
    INFO(built.out << built.err);
    REQUIRE(built.code == 0);
    std::string turns;
    for (int i = 0; i < 12; ++i) turns += text_of(90) + "\n";
    put(folder / "turns", turns);
    const Outcome outcome = shell("build/chat tiny.gguf 96 24 snapkv@kvpress 1 <turns", folder.path.string());
    INFO(outcome.out << outcome.err);
    REQUIRE(outcome.code == 0);
    std::size_t said = 0;
    std::istringstream lines(outcome.out);
    for (std::string line; std::getline(lines, line);)
        if (unsigned long long cells = 0, tokens = 0, times = 0;
            std::sscanf(line.c_str(), "[%llu cached of %llu tokens, evicted %llu times]", &cells, &tokens, &times) ==
            3) {
            ++said;
            CHECK(cells <= 96);
            CHECK(tokens >= 90 * said);
        }
    CHECK(said == 12);
    CHECK(outcome.err.empty());
    CHECK_THAT(shell("build/chat tiny.gguf 64 64 snapkv@kvpress 1", folder.path.string()).err,
               ContainsSubstring("options.every is 64"));
}
