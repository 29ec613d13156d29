// libevictlab: what it keeps is what the protocol `prefill` keeps, and what goes wrong comes back as a code and a text.
// SPDX-License-Identifier: MIT
#include <evictlab/evictlab.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <thread>

#include "base/statistics/bootstrap.hpp"
#include "framework/attention/wo_grams.hpp"
#include "framework/attention/wov_norms.hpp"
#include "framework/capture/captured_suite.hpp"
#include "framework/cut/budget.hpp"
#include "framework/cut/join.hpp"
#include "framework/cut/shaped_cut.hpp"
#include "framework/cut/top_k.hpp"
#include "framework/scoring/prompt_columns.hpp"
#include "framework/scoring/scorer_run.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/trace_writer.hpp"

using namespace evictlab;

namespace {

const std::filesystem::path plugin_folder = EVICTLAB_PLUGIN_FOLDER;

struct Lab {
    evl_lab* lab = nullptr;
    Lab() {
        evl_failure failure{};
        REQUIRE(evl_lab_open(nullptr, 0, &lab, &failure) == EVL_OK);
    }
    ~Lab() { evl_lab_close(lab); }
};

struct Opened {
    evl_scorer* scorer = nullptr;
    Opened(const Lab& lab, const std::string& text) {
        evl_failure failure{};
        const evl_status status = evl_scorer_open(lab.lab, text.c_str(), &scorer, &failure);
        INFO(failure.text);
        REQUIRE(status == EVL_OK);
    }
    ~Opened() { evl_scorer_close(scorer); }
    evl_needs needs() const {
        evl_needs needs{};
        needs.struct_size = sizeof needs;
        evl_scorer_needs(scorer, &needs);
        return needs;
    }
};

/// A layer of the shipped suite, its prompt alone.
struct PromptLayer {
    TracePtr trace;
    OwnedLayer tensors;
    std::vector<float> norms;
    std::vector<double> gram;
    std::vector<std::uint8_t> token_type;
    evl_layer layer{};

    explicit PromptLayer(std::size_t which = 1) {
        const Suite suite = open_captured_suite(std::filesystem::path(EVICTLAB_SOURCE_DIR) / "suites" / "smollm2");
        trace = suite.search_traces().train.front();
        const CapturedTrace& captured = *trace->captured();
        const std::size_t number = captured.layers()[which];
        tensors = captured.load_layer(number);
        norms = wov_norms(tensors.view(), captured.output_projections()->load(number));
        gram = wo_grams(tensors.shape, captured.output_projections()->load(number));
        const std::size_t n = captured.prompt_len();
        for (std::size_t i = 0; i < n; ++i) token_type.push_back(static_cast<std::uint8_t>(captured.token_type()[i]));
        const LayerShape& s = tensors.shape;
        const auto stride = static_cast<std::ptrdiff_t>(s.tokens * s.dim), row = static_cast<std::ptrdiff_t>(s.dim);
        layer = {sizeof(evl_layer),
                 static_cast<std::uint32_t>(number),
                 static_cast<std::uint32_t>(captured.num_layers()),
                 static_cast<std::uint32_t>(s.query_heads),
                 static_cast<std::uint32_t>(s.kv_heads),
                 static_cast<std::uint32_t>(n),
                 static_cast<std::uint32_t>(s.dim),
                 tensors.q.data(),
                 tensors.k.data(),
                 tensors.v.data(),
                 stride,
                 stride,
                 stride,
                 row,
                 row,
                 row,
                 0,
                 tensors.rope_inv_freq.data(),
                 static_cast<double>(tensors.rope_scale),
                 static_cast<double>(tensors.softmax_scale),
                 tensors.sliding_window,
                 token_type.data(),
                 norms.data(),
                 static_cast<std::ptrdiff_t>(s.tokens),
                 nullptr,
                 gram.data(),
                 {},
                 static_cast<std::ptrdiff_t>(n),
                 EVL_F32,
                 0,
                 nullptr,
                 0,
                 0,
                 0};
        for (std::size_t kind = 0; kind < 3; ++kind)
            layer.reconstruction[kind] = tensors.reconstruction.data() + kind * s.kv_heads * n;
    }
    std::size_t cells() const { return std::size_t{layer.kv_heads} * layer.tokens; }
};

struct Kept {
    std::vector<std::uint8_t> mask;
    std::vector<std::uint64_t> counts;
    std::vector<double> scores;
};

Kept keep(const Opened& opened, const evl_layer& layer, const std::vector<double>& removed) {
    const std::size_t heads = layer.kv_heads, cells = heads * layer.tokens;
    Kept kept{std::vector<std::uint8_t>(removed.size() * cells), std::vector<std::uint64_t>(removed.size() * heads),
              std::vector<double>(removed.size() * cells)};
    evl_failure failure{};
    evl_status status = EVL_OK;
    if (opened.needs().model_budgets == 1) { // as if the model had this layer alone
        evl_model* model = nullptr;
        REQUIRE(evl_model_open(opened.scorer, removed.data(), removed.size(), &model, &failure) == EVL_OK);
        status = evl_model_add(model, &layer, &failure);
        if (status == EVL_OK)
            status =
                evl_model_keep(model, layer.layer, kept.mask.data(), kept.counts.data(), kept.scores.data(), &failure);
        evl_model_close(model);
    } else {
        status = evl_scorer_keep(opened.scorer, &layer, removed.data(), removed.size(), kept.mask.data(),
                                 kept.counts.data(), kept.scores.data(), &failure);
    }
    INFO(failure.text);
    REQUIRE(status == EVL_OK);
    return kept;
}

/// What the protocol's own parts keep.
Kept kept_by_protocol(const std::string& text, const PromptLayer& prompt, const std::vector<double>& removed) {
    const std::vector<std::filesystem::path> folders{plugin_folder};
    PluginHost host(folders);
    const Scorer scorer = make_scorer(text, host);
    const ColumnPlaces places(scorer.columns());
    const OwnedLayer layer =
        prompt.trace->captured()->load_layer(prompt.layer.layer, {.wov_norms = true, .wo_grams = true});
    const AttentionRows rows(layer.view());
    PromptColumns columns(layer.view(), &rows, places.ids());
    const BoardColumns by_id(places, columns.columns());
    PromptInput input(layer.view(), &rows, by_id);
    const ScorerRun run(scorer);
    LayerSelection selection(run, input.of(scorer));
    Kept kept;
    const std::size_t n = prompt.layer.tokens;
    for (const double share : removed) {
        selection.select(share);
        for (const auto& head : selection.kept({})) {
            std::vector<std::uint8_t> mask(n);
            for (const auto i : head) mask[i] = 1;
            kept.mask.insert(kept.mask.end(), mask.begin(), mask.end());
        }
        kept.counts.insert(kept.counts.end(), selection.kept_per_head().begin(), selection.kept_per_head().end());
        kept.scores.insert(kept.scores.end(), selection.scores().begin(), selection.scores().end());
    }
    return kept;
}

struct Refusal {
    evl_status status;
    std::string text;
};

Refusal refused(const Opened& opened, const evl_layer& layer, double removed = 0.5) {
    std::vector<std::uint8_t> mask(std::size_t{layer.kv_heads} * layer.tokens, 7);
    evl_failure failure{};
    const evl_status status =
        evl_scorer_keep(opened.scorer, &layer, &removed, 1, mask.data(), nullptr, nullptr, &failure);
    for (const std::uint8_t cell : mask) REQUIRE(cell == 7); // outputs stay as they were
    return {status, failure.text};
}

} // namespace

TEST_CASE("the library keeps what the protocol prefill keeps, with the same scores") {
    const Lab lab;
    const PromptLayer prompt;
    const std::vector<double> removed{0.9, 0.5, 0.25, 0.0};
    for (const char* text : {"snapkv@kvpress", "expected_attention@kvpress", "knorm@kvpress", "keydiff@paper",
                             "pyramidkv@kvpress", "adakv@kvpress(snapkv@kvpress)", "criticalkv@kvpress(snapkv@kvpress)",
                             "random", "=window_attn:16*value_norm + token_type"}) {
        INFO(text);
        const Opened opened(lab, text);
        const Kept kept = keep(opened, prompt.layer, removed), expected = kept_by_protocol(text, prompt, removed);
        CHECK(kept.mask == expected.mask);
        CHECK(kept.counts == expected.counts);
        CHECK(kept.scores == expected.scores);
    }
}

TEST_CASE("every scorer of the list runs, and says by its needs what it must be given") {
    const Lab lab;
    PromptLayer prompt;
    REQUIRE(evl_lab_problem_count(lab.lab) == 0);
    REQUIRE(evl_lab_scorer_count(lab.lab) > 15);
    CHECK(evl_lab_scorer(lab.lab, evl_lab_scorer_count(lab.lab)) == nullptr);
    for (std::uint64_t i = 0; i < evl_lab_scorer_count(lab.lab); ++i) {
        const std::string text = evl_lab_scorer(lab.lab, i);
        INFO(text);
        const Opened opened(lab, text);
        const Kept all = keep(opened, prompt.layer, {0.5});
        std::uint64_t sum = 0;
        for (const std::uint8_t cell : all.mask) sum += cell;
        CHECK(sum > 0);
        evl_layer least = prompt.layer;
        const evl_needs needs = opened.needs();
        const std::uint64_t n = least.tokens;
        if (needs.queries == 0) least.q = nullptr;
        if (needs.queries > 0 && needs.queries < n) {
            least.first_query = n - needs.queries;
            least.q += static_cast<std::ptrdiff_t>(least.first_query) * least.q_token_stride;
        }
        if (!needs.token_type) least.token_type = nullptr;
        if (!needs.wov_norm) least.wov_norm = nullptr;
        if (!needs.wo_gram) least.wo_gram = nullptr;
        for (std::size_t kind = 0; kind < 3; ++kind)
            if ((needs.reconstruction >> kind & 1U) == 0) least.reconstruction[kind] = nullptr;
        CHECK(keep(opened, least, {0.5}).mask == all.mask);
    }
}

TEST_CASE("needs tell key-only scorers, windows and scorers of all queries apart") {
    const Lab lab;
    CHECK(Opened(lab, "knorm@kvpress").needs().queries == 0);
    CHECK(Opened(lab, "keydiff@kvpress").needs().queries == 0);
    CHECK(Opened(lab, "lagkv@kvpress").needs().queries == 0);
    CHECK(Opened(lab, "snapkv@kvpress").needs().queries == 64);
    CHECK(Opened(lab, "snapkv@kvpress:window=32").needs().queries == 32);
    CHECK(Opened(lab, "=rank:window_attn:8").needs().queries == 8);
    CHECK(Opened(lab, "expected_attention@kvpress").needs().queries == EVL_ALL_QUERIES);
    CHECK(Opened(lab, "observed_attention@kvpress").needs().queries == EVL_ALL_QUERIES);
    CHECK(Opened(lab, "=token_type").needs().token_type == 1);
    CHECK(Opened(lab, "=rank:token_type").needs().token_type == 1);
    CHECK(Opened(lab, "criticalkv@kvpress(knorm@kvpress)").needs().wov_norm == 1);
    CHECK(Opened(lab, "criticalkv@kvpress(knorm@kvpress)").needs().budgeted == 1);
    CHECK(Opened(lab, "=leave_one_out:8").needs().wo_gram == 0);
    CHECK(Opened(lab, "=rank:leave_one_out:8:wo").needs().wo_gram == 1);
    CHECK(Opened(lab, "knorm@kvpress").needs().uneven == 0);
    CHECK(Opened(lab, "adakv@kvpress(knorm@kvpress)").needs().uneven == 1);
    CHECK(Opened(lab, "adakv@kvpress(knorm@kvpress)").needs().model_budgets == 0);
    CHECK(Opened(lab, "global@kvpress(knorm@kvpress)").needs().model_budgets == 1);
    const Opened snapkv(lab, "snapkv@kvpress");
    REQUIRE(evl_scorer_column_count(snapkv.scorer) == 1);
    CHECK(std::string(evl_scorer_column(snapkv.scorer, 0)) == "window_attn:64:pool=5:avg");
    CHECK(evl_scorer_column(snapkv.scorer, 1) == nullptr);
}

TEST_CASE("a scorer that reads a second pass says which, and is refused without") {
    const Lab lab;
    const PromptLayer prompt;
    const auto bits = [&](const char* text) { return Opened(lab, text).needs().reconstruction; };
    CHECK(bits("snapkv@kvpress") == 0);
    CHECK(bits("=reconstruction_attn") == 1);
    CHECK(bits("=rank:reconstruction_attn:plus + key_norm") == 2);
    CHECK(bits("=reconstruction_attn * reconstruction_attn:grad") == 5);
    const Opened opened(lab, "=reconstruction_attn:plus");
    evl_layer layer = prompt.layer;
    const Kept kept = keep(opened, layer, {0.5});
    CHECK(kept.scores[1] == double{prompt.layer.reconstruction[1][1]});
    layer.reconstruction[0] = nullptr;
    CHECK(keep(opened, layer, {0.5}).scores == kept.scores);
    layer.struct_size = offsetof(evl_layer, reconstruction); // an older caller
    const auto [status, text] = refused(opened, layer);
    CHECK(status == EVL_USAGE);
    CHECK_THAT(text, ContainsSubstring("layer.reconstruction[1] is NULL") && ContainsSubstring("KVzip+"));
}

TEST_CASE("the layers of a model, added one after another, keep the highest scores of all of them") {
    const Lab lab;
    const Opened global(lab, "global@kvpress(knorm@kvpress)"), base(lab, "knorm@kvpress");
    const std::vector<double> removed{0.5, 0.9, 0};
    const PromptLayer prompts[] = {PromptLayer(0), PromptLayer(1), PromptLayer(2)};
    const std::size_t cells = prompts[0].cells(), n = prompts[0].layer.tokens, heads = prompts[0].layer.kv_heads;
    evl_failure failure{};
    evl_model* model = nullptr;
    REQUIRE(evl_model_open(global.scorer, removed.data(), removed.size(), &model, &failure) == EVL_OK);
    std::vector<double> all;
    for (const std::size_t which : {2, 0, 1}) REQUIRE(evl_model_add(model, &prompts[which].layer, &failure) == EVL_OK);
    CHECK(evl_model_add(model, &prompts[1].layer, &failure) == EVL_USAGE);
    CHECK_THAT(failure.text, ContainsSubstring("was added before"));
    for (const PromptLayer& prompt : prompts) {
        const Kept of_base = keep(base, prompt.layer, {0.5});
        all.insert(all.end(), of_base.scores.begin(), of_base.scores.end());
    }
    std::vector<std::uint8_t> mask(removed.size() * cells);
    std::vector<std::uint64_t> counts(removed.size() * heads);
    std::vector<double> scores(removed.size() * cells);
    for (std::size_t l = 0; l < std::size(prompts); ++l) {
        REQUIRE(evl_model_keep(model, prompts[l].layer.layer, mask.data(), counts.data(), scores.data(), &failure) ==
                EVL_OK);
        for (std::size_t b = 0; b < removed.size(); ++b) {
            const auto gone = static_cast<std::size_t>(static_cast<double>(all.size()) * removed[b]);
            std::vector<std::uint8_t> expected(all.size());
            for (const std::uint32_t i : top_k(all, all.size() - gone)) expected[i] = 1;
            const auto of_layer = std::span(expected).subspan(l * cells, cells);
            const auto kept = std::span(mask).subspan(b * cells, cells);
            CHECK(std::ranges::equal(kept, of_layer));
            for (std::size_t h = 0; h < heads; ++h)
                CHECK(counts[b * heads + h] ==
                      static_cast<std::uint64_t>(std::ranges::count(kept.subspan(h * n, n), std::uint8_t{1})));
        }
        CHECK(std::ranges::equal(std::span(scores).first(cells), std::span(all).subspan(l * cells, cells)));
    }
    CHECK(evl_model_keep(model, 99, mask.data(), nullptr, nullptr, &failure) == EVL_USAGE);
    CHECK(evl_model_add(model, &prompts[1].layer, &failure) == EVL_USAGE);
    CHECK_THAT(failure.text, ContainsSubstring("comes after evl_model_keep"));
    evl_model_close(model);
    CHECK(evl_scorer_keep(global.scorer, &prompts[0].layer, removed.data(), 1, mask.data(), nullptr, nullptr,
                          &failure) == EVL_USAGE);
    CHECK_THAT(failure.text, ContainsSubstring("looks at all layers of the model together"));
}

TEST_CASE("a model's layers are scored by several threads, and a scorer of another kind keeps its own budgets") {
    const Lab lab;
    const Opened opened(lab, "adakv@kvpress(knorm@kvpress)");
    const std::vector<double> removed{0.75};
    const PromptLayer prompts[] = {PromptLayer(0), PromptLayer(1)};
    evl_model* model = nullptr;
    REQUIRE(evl_model_open(opened.scorer, removed.data(), 1, &model, nullptr) == EVL_OK);
    {
        std::vector<std::jthread> threads;
        for (const PromptLayer& prompt : prompts)
            threads.emplace_back([&] { (void)evl_model_add(model, &prompt.layer, nullptr); });
    }
    for (const PromptLayer& prompt : prompts) {
        std::vector<std::uint8_t> mask(prompt.cells());
        REQUIRE(evl_model_keep(model, prompt.layer.layer, mask.data(), nullptr, nullptr, nullptr) == EVL_OK);
        CHECK(mask == keep(opened, prompt.layer, removed).mask);
    }
    evl_model_close(model);
}

TEST_CASE("at a shape a layer keeps what the cut of its scores keeps, as masks, places and counts") {
    const Lab lab;
    const Opened opened(lab, "knorm@kvpress");
    const PromptLayer prompt;
    const std::size_t n = prompt.layer.tokens, heads = prompt.layer.kv_heads;
    const Kept plain = keep(opened, prompt.layer, {0.5});
    const std::vector<double> removed{0.75, 0.9, 0};
    Shape wanted;
    wanted.granularity = Granularity::layer;
    wanted.join = Join::rank;
    wanted.block = 16;
    wanted.sinks = 4;
    wanted.recent = 20;
    const evl_shape shape{sizeof(evl_shape), EVL_LAYER, EVL_JOIN_RANK, 16, EVL_BLOCK_MEAN, 4, 20};
    std::vector<std::uint8_t> mask(removed.size() * heads * n, 7);
    std::vector<std::uint32_t> places(mask.size());
    std::vector<std::uint64_t> counts(removed.size() * heads);
    std::vector<double> scores(mask.size());
    evl_selection selection{sizeof(evl_selection), &shape,        removed.size(), removed.data(), nullptr,
                            mask.data(),           places.data(), counts.data(),  scores.data()};
    evl_failure failure{};
    REQUIRE(evl_scorer_select(opened.scorer, &prompt.layer, &selection, &failure) == EVL_OK);
    for (std::size_t b = 0; b < removed.size(); ++b) {
        const std::size_t kept = removed[b] > 0 ? kept_count_for_removed(n, removed[b]) : n;
        const auto expected = shaped_cut(joined(plain.scores, n, Join::rank), kept, wanted);
        for (std::size_t h = 0; h < heads; ++h) {
            const std::size_t row = (b * heads + h) * n;
            REQUIRE(counts[b * heads + h] == expected.size());
            CHECK(std::ranges::equal(std::span(places).subspan(row, expected.size()), expected));
            for (std::size_t i = 0; i < n; ++i)
                REQUIRE(mask[row + i] == (std::ranges::binary_search(expected, i) ? 1 : 0));
        }
    }
    CHECK(std::ranges::equal(std::span(scores).first(heads * n), plain.scores));

    const std::uint64_t numbers[] = {200, n + 5};
    evl_selection by_number{sizeof(evl_selection), nullptr, 2, nullptr, numbers, nullptr, nullptr,
                            counts.data(),         nullptr};
    REQUIRE(evl_scorer_select(opened.scorer, &prompt.layer, &by_number, &failure) == EVL_OK);
    CHECK((counts[0] == 200 && counts[heads - 1] == 200 && counts[heads] == n));
}

TEST_CASE("a batch of layers is each of them, and fails as a whole") {
    const Lab lab;
    const Opened opened(lab, "snapkv@kvpress");
    const PromptLayer prompts[] = {PromptLayer(0), PromptLayer(1), PromptLayer(2)};
    const double removed = 0.75;
    std::vector<std::vector<std::uint8_t>> masks;
    std::vector<evl_selection> selections;
    for (const PromptLayer& prompt : prompts) masks.emplace_back(prompt.cells(), 7);
    for (auto& mask : masks)
        selections.push_back(
            {sizeof(evl_selection), nullptr, 1, &removed, nullptr, mask.data(), nullptr, nullptr, nullptr});
    evl_layer wrong = prompts[1].layer;
    const evl_layer* layers[] = {&prompts[0].layer, &wrong, &prompts[2].layer};
    const evl_selection* into[] = {&selections[0], &selections[1], &selections[2]};
    wrong.q = nullptr;
    evl_failure failure{};
    CHECK(evl_scorer_select_batch(opened.scorer, layers, into, 3, &failure) == EVL_USAGE);
    CHECK_THAT(failure.text, ContainsSubstring("layer.q is NULL"));
    CHECK(masks[0][0] == 7);
    layers[1] = &prompts[1].layer;
    REQUIRE(evl_scorer_select_batch(opened.scorer, layers, into, 3, &failure) == EVL_OK);
    for (std::size_t l = 0; l < 3; ++l) CHECK(masks[l] == keep(opened, prompts[l].layer, {removed}).mask);
}

TEST_CASE("one set for the model is that of the joined scores of all its layers, in whatever order they come") {
    const Lab lab;
    const Opened opened(lab, "knorm@kvpress");
    const PromptLayer prompts[] = {PromptLayer(0), PromptLayer(1), PromptLayer(2)};
    const std::size_t n = prompts[0].layer.tokens, heads = prompts[0].layer.kv_heads;
    std::vector<double> all;
    for (const PromptLayer& prompt : prompts) {
        const Kept plain = keep(opened, prompt.layer, {0.5});
        all.insert(all.end(), plain.scores.begin(), plain.scores.end());
    }
    const evl_shape shape{sizeof(evl_shape), EVL_MODEL, EVL_JOIN_SHARE, 0, 0, 0, 0};
    const std::uint64_t keep_of[] = {100};
    evl_selection asked{sizeof(evl_selection), &shape, 1, nullptr, keep_of, nullptr, nullptr, nullptr, nullptr};
    evl_failure failure{};
    evl_model* model = nullptr;
    REQUIRE(evl_model_open_shape(opened.scorer, &asked, &model, &failure) == EVL_OK);
    for (const std::size_t which : {2, 0, 1}) REQUIRE(evl_model_add(model, &prompts[which].layer, &failure) == EVL_OK);
    const auto expected = top_k(joined(all, n, Join::share), 100);
    for (const PromptLayer& prompt : prompts) {
        std::vector<std::uint32_t> places(heads * n);
        std::vector<std::uint64_t> counts(heads);
        evl_selection into{sizeof(evl_selection), nullptr,       0,      nullptr, nullptr, nullptr,
                           places.data(),         counts.data(), nullptr};
        REQUIRE(evl_model_select(model, prompt.layer.layer, &into, &failure) == EVL_OK);
        for (std::size_t h = 0; h < heads; ++h) {
            REQUIRE(counts[h] == 100);
            CHECK(std::ranges::equal(std::span(places).subspan(h * n, 100), expected));
        }
    }
    evl_model_close(model);
    REQUIRE(evl_model_open_shape(opened.scorer, &asked, &model, &failure) == EVL_OK);
    REQUIRE(evl_model_add(model, &prompts[0].layer, &failure) == EVL_OK);
    evl_layer shorter = prompts[1].layer;
    shorter.tokens -= 1;
    shorter.q_head_stride = shorter.k_head_stride;
    CHECK(evl_model_add(model, &shorter, &failure) == EVL_USAGE);
    CHECK_THAT(failure.text, ContainsSubstring("must have as many"));
    evl_model_close(model);
}

TEST_CASE(
    "a shape that cannot be had is refused, and a structure of another library's size is read as far as it goes") {
    const Lab lab;
    const Opened knorm(lab, "knorm@kvpress"), adakv(lab, "adakv@kvpress(knorm@kvpress)"),
        global(lab, "global@kvpress(knorm@kvpress)");
    const PromptLayer prompt;
    std::vector<std::uint8_t> mask(prompt.cells(), 7);
    const double removed = 0.9;
    const auto refused_at = [&](const Opened& opened, evl_shape shape, const char* part,
                                std::uint32_t* places = nullptr) {
        evl_selection selection{sizeof(evl_selection), &shape, 1,       &removed, nullptr,
                                mask.data(),           places, nullptr, nullptr};
        evl_failure failure{};
        CHECK(evl_scorer_select(opened.scorer, &prompt.layer, &selection, &failure) == EVL_USAGE);
        CHECK_THAT(failure.text, ContainsSubstring(part));
        CHECK(mask[0] == 7);
    };
    const std::uint64_t size = sizeof(evl_shape);
    refused_at(knorm, {size, 3, 0, 0, 0, 0, 0}, "shape.granularity is 3, but must be from 0 to 2");
    refused_at(knorm, {size, EVL_LAYER, 4, 0, 0, 0, 0}, "shape.join is 4");
    refused_at(knorm, {size, EVL_HEAD, 0, 70000, 0, 0, 0}, "block is 70000, but must be from 1 to 65536");
    refused_at(knorm, {size, EVL_HEAD, 0, 0, 0, 50, 50}, "the first 50 and the last 50 of");
    refused_at(knorm, {size, EVL_MODEL, 0, 0, 0, 0, 0}, "by evl_model_open_shape");
    refused_at(knorm, {3, 0, 0, 0, 0, 0, 0}, "shape.struct_size is 3");
    const evl_shape of_layer{size, EVL_LAYER, 0, 0, 0, 0, 0};
    CHECK(evl_scorer_fits(adakv.scorer, &of_layer, nullptr) == EVL_USAGE);
    CHECK(evl_scorer_fits(knorm.scorer, &of_layer, nullptr) == EVL_OK);
    CHECK(evl_scorer_fits(knorm.scorer, nullptr, nullptr) == EVL_USAGE);
    refused_at(adakv, {size, EVL_LAYER, 0, 0, 0, 0, 0}, "gives heads different numbers of tokens");
    refused_at(global, {size, EVL_HEAD, 0, 0, 0, 0, 0}, "looks at all layers of the model together");
    std::uint32_t place = 0;
    refused_at(knorm, {size, EVL_HEAD, 0, 0, 0, 0, 0}, "selection.counts is NULL", &place);
    evl_selection asked{};
    asked.struct_size = sizeof asked;
    asked.budgets = 1;
    evl_failure failure{};
    CHECK(evl_scorer_select(knorm.scorer, &prompt.layer, &asked, &failure) == EVL_USAGE);
    CHECK_THAT(failure.text, ContainsSubstring("neither selection.removed nor selection.keep"));
    CHECK(evl_scorer_select(knorm.scorer, &prompt.layer, nullptr, &failure) == EVL_USAGE);
    CHECK(evl_model_open_shape(knorm.scorer, nullptr, nullptr, &failure) == EVL_USAGE);

    const evl_shape known{offsetof(evl_shape, sinks), EVL_LAYER, EVL_JOIN_MEAN, 0, 0, 1000000000, 0};
    evl_selection old{sizeof(evl_selection), &known, 1, &removed, nullptr, mask.data(), nullptr, nullptr, nullptr};
    CHECK(evl_scorer_select(knorm.scorer, &prompt.layer, &old, &failure) == EVL_OK);
}

TEST_CASE("F16 and BF16 values are read as they are stored") {
    const Lab lab;
    const Opened opened(lab, "snapkv@kvpress");
    const PromptLayer prompt;
    const std::size_t dim = prompt.layer.dim;
    for (const auto& [type, name] : {std::pair{EVL_F16, "F16"}, std::pair{EVL_BF16, "BF16"}}) {
        const auto store = [&](const AlignedFloats& from) {
            return test::stored(name, std::vector<double>(from.begin(), from.end()));
        };
        const test::Stored q = store(prompt.tensors.q), k = store(prompt.tensors.k), v = store(prompt.tensors.v);
        const auto floats = [](const test::Stored& of) {
            return std::vector<float>(of.values.begin(), of.values.end());
        };
        const std::vector<float> exact_q = floats(q), exact_k = floats(k), exact_v = floats(v);
        evl_layer exact = prompt.layer, half = prompt.layer;
        exact.q = exact_q.data();
        exact.k = exact_k.data();
        exact.v = exact_v.data();
        half.q = reinterpret_cast<const float*>(q.bytes.data());
        half.k = reinterpret_cast<const float*>(k.bytes.data());
        half.v = reinterpret_cast<const float*>(v.bytes.data());
        half.value_type = static_cast<std::uint32_t>(type);
        const Kept expected = keep(opened, exact, {0.5}), found = keep(opened, half, {0.5});
        CHECK(found.mask == expected.mask);
        CHECK(found.scores == expected.scores);
        half.first_query = 100; // and rows that are skipped count in values of the type
        half.q = reinterpret_cast<const float*>(q.bytes.data() + 100 * dim * 2);
        CHECK(keep(opened, half, {0.5}).scores == expected.scores);
    }
    evl_layer unknown = prompt.layer;
    unknown.value_type = 3;
    CHECK_THAT(refused(opened, unknown).text, ContainsSubstring("layer.value_type is 3"));
}

TEST_CASE("tokens before heads, as models often have it, give the same") {
    const Lab lab;
    const PromptLayer prompt;
    const auto turned = [&](const float* from, std::size_t heads) {
        std::vector<float> out(prompt.layer.tokens * heads * prompt.layer.dim);
        for (std::size_t h = 0; h < heads; ++h)
            for (std::size_t i = 0; i < prompt.layer.tokens; ++i)
                std::copy_n(from + (h * prompt.tensors.shape.tokens + i) * prompt.layer.dim, prompt.layer.dim,
                            out.data() + (i * heads + h) * prompt.layer.dim);
        return out;
    };
    const auto q = turned(prompt.layer.q, prompt.layer.query_heads), k = turned(prompt.layer.k, prompt.layer.kv_heads),
               v = turned(prompt.layer.v, prompt.layer.kv_heads);
    evl_layer layer = prompt.layer;
    layer.q = q.data();
    layer.k = k.data();
    layer.v = v.data();
    layer.q_head_stride = layer.k_head_stride = layer.v_head_stride = layer.dim;
    layer.q_token_stride = static_cast<std::ptrdiff_t>(std::size_t{layer.query_heads} * layer.dim);
    layer.k_token_stride = layer.v_token_stride = static_cast<std::ptrdiff_t>(std::size_t{layer.kv_heads} * layer.dim);
    for (const char* text : {"snapkv@kvpress", "expected_attention@kvpress", "keydiff@paper"}) {
        INFO(text);
        const Opened opened(lab, text);
        CHECK(keep(opened, layer, {0.5}).scores == keep(opened, prompt.layer, {0.5}).scores);
    }
}

TEST_CASE("a memory of a layer changes nothing but the time") {
    const Lab lab;
    const PromptLayer prompt;
    evl_memory* memory = nullptr;
    REQUIRE(evl_memory_open(&memory, nullptr) == EVL_OK);
    evl_layer layer = prompt.layer;
    layer.memory = memory;
    std::vector<std::string> texts{"snapkv@kvpress", "=window_attn:64:pool=5:avg + expected_attn", "snapkv@kvpress",
                                   "criticalkv@kvpress(knorm@kvpress)", "=rank:key_norm*layer_ratio"};
    for (int window = 1; window < 80; window += 2) texts.push_back("=window_attn:" + std::to_string(window)); // forgets
    texts.push_back("=observed_attn + window_attn:1");
    for (const std::string& text : texts) {
        INFO(text);
        const Opened opened(lab, text);
        const Kept kept = keep(opened, layer, {0.75, 0.5}), expected = keep(opened, prompt.layer, {0.75, 0.5});
        CHECK(kept.mask == expected.mask);
        CHECK(kept.scores == expected.scores);
    }
    const Opened opened(lab, "=window_attn:1");
    --layer.tokens;
    const Refusal other = refused(opened, layer);
    CHECK(other.status == EVL_USAGE);
    CHECK(other.text.find("each layer of each document needs its own") != std::string::npos);
    layer.struct_size = offsetof(evl_layer, memory); // a caller that knows of no memories
    CHECK(keep(opened, layer, {0.5}).mask.size() == std::size_t{layer.kv_heads} * layer.tokens);
    evl_memory_close(memory);
}

TEST_CASE("columns that were computed elsewhere stand for queries, keys and values") {
    const Lab lab;
    const PromptLayer prompt;
    for (const char* text : {"snapkv@kvpress", "adakv@kvpress(expected_attention@kvpress)", "streaming_llm@kvpress",
                             "criticalkv@kvpress(snapkv@kvpress)", "=rank:key_norm*layer_ratio + window_attn:7"}) {
        INFO(text);
        const Opened opened(lab, text);
        evl_memory* memory = nullptr;
        REQUIRE(evl_memory_open(&memory, nullptr) == EVL_OK);
        evl_layer layer = prompt.layer;
        layer.q = layer.k = layer.v = layer.wov_norm = nullptr;
        layer.memory = memory;
        for (std::uint64_t i = 0; i < evl_scorer_column_count(opened.scorer); ++i) {
            const std::string column = evl_scorer_column(opened.scorer, i);
            CHECK(refused(opened, layer).text.find("which layer.memory was not given") != std::string::npos);
            std::vector<double> values(prompt.cells());
            REQUIRE(evl_scorer_score(Opened(lab, "=" + column).scorer, &prompt.layer, 0.5, values.data(), nullptr,
                                     nullptr) == EVL_OK);
            REQUIRE(evl_memory_put(memory, &layer, column.c_str(), values.data(), nullptr) == EVL_OK);
        }
        const Kept kept = keep(opened, layer, {0.75, 0.5}), expected = keep(opened, prompt.layer, {0.75, 0.5});
        CHECK(kept.mask == expected.mask);
        CHECK(kept.scores == expected.scores);
        const Opened tensors(lab, "keydiff@paper");
        CHECK(refused(tensors, layer).text.find("takes queries, keys and values") != std::string::npos);
        std::vector<double> wrong(prompt.cells(), std::numeric_limits<double>::quiet_NaN());
        CHECK(evl_memory_put(memory, &layer, "key_norm", wrong.data(), nullptr) == EVL_FAILED);
        evl_memory_close(memory);
    }
}

TEST_CASE("a scorer tells the formula that gives its scores") {
    const Lab lab;
    CHECK(std::string(evl_scorer_formula(Opened(lab, "=key_norm + 1").scorer)) == "key_norm + 1");
    CHECK(std::string(evl_scorer_formula(Opened(lab, "knorm@kvpress").scorer)) == "-key_norm");
    CHECK(evl_scorer_formula(Opened(lab, "snapkv@kvpress").scorer) == nullptr);
    CHECK(evl_scorer_formula(nullptr) == nullptr);
}

TEST_CASE("threads may share a scorer") {
    const Lab lab;
    const PromptLayer prompt;
    for (const char* text : {"snapkv@kvpress", "adakv@kvpress(knorm@kvpress)"}) {
        const Opened opened(lab, text);
        const Kept expected = keep(opened, prompt.layer, {0.75});
        std::vector<std::vector<double>> scores(4, std::vector<double>(prompt.cells()));
        std::vector<std::thread> threads;
        for (auto& out : scores)
            threads.emplace_back(
                [&] { evl_scorer_score(opened.scorer, &prompt.layer, 0.75, out.data(), nullptr, nullptr); });
        for (auto& thread : threads) thread.join();
        for (const auto& out : scores) CHECK(out == expected.scores);
    }
}

TEST_CASE("a scorer outlives its lab, and its hash follows what it is") {
    auto* lab = new Lab;
    const Opened knorm(*lab, "knorm@kvpress"), window(*lab, "snapkv@kvpress:window=32"), snapkv(*lab, "snapkv@kvpress"),
        again(*lab, "snapkv@kvpress:window=64"), wrapped(*lab, "adakv@kvpress(snapkv@kvpress)");
    delete lab;
    CHECK(keep(knorm, PromptLayer().layer, {0.5}).counts[0] > 0);
    const auto hash = [](const Opened& opened) { return std::string(evl_scorer_hash(opened.scorer)); };
    CHECK(hash(snapkv).size() == 64);
    CHECK(hash(snapkv) == hash(again));
    CHECK(hash(snapkv) != hash(window));
    CHECK(hash(snapkv) != hash(wrapped));
}

TEST_CASE("what is published, and which plugin a scorer is of, is told as its plugin has it") {
    const std::string folder = EVICTLAB_TEST_PLUGINS "/published";
    const char* const folders[] = {folder.c_str()};
    evl_lab* lab = nullptr;
    REQUIRE(evl_lab_open(folders, 1, &lab, nullptr) == EVL_OK);
    const auto published = [&](const char* text) {
        evl_scorer* scorer = nullptr;
        REQUIRE(evl_scorer_open(lab, text, &scorer, nullptr) == EVL_OK);
        const bool found = evl_scorer_published(scorer) == 1;
        evl_scorer_close(scorer);
        return found;
    };
    for (const char* text : {"toy@paper", "snapkv@kvpress", "adakv@kvpress(toy@paper)", "keydiff"})
        CHECK(published(text));
    for (const char* text : {"toy@mine", "h2o", "snapkv", "snapkv@kvpress:window=8", "=key_norm", "evolved@real"})
        CHECK_FALSE(published(text));
    evl_scorer* wrapper = nullptr;
    evl_scorer* formula = nullptr;
    REQUIRE(evl_scorer_open(lab, "adakv(h2o)", &wrapper, nullptr) == EVL_OK);
    REQUIRE(evl_scorer_open(lab, "=key_norm", &formula, nullptr) == EVL_OK);
    CHECK(std::string(evl_scorer_plugin(wrapper)) == "adakv");
    CHECK(std::string(evl_scorer_class(wrapper)) ==
          R"({"reads":"all attn","query_aware":true,"fused_attention":false,"passes":1,"calibrated":false,)"
          R"("budgets":"head"})");
    CHECK_THAT(std::string(evl_scorer_class(formula)), ContainsSubstring(R"("reads":"kv")"));
    CHECK(evl_scorer_plugin(formula) == nullptr);
    evl_scorer_close(wrapper);
    evl_scorer_close(formula);
    evl_lab_close(lab);
}

TEST_CASE("a bare name's full name is the published rule's, as benches on captured suites run it") {
    const Lab lab;
    const auto full = [&lab](const char* text) {
        std::string name;
        const auto take = [](void* context, const char* found) { *static_cast<std::string*>(context) = found; };
        REQUIRE(evl_lab_full_name(lab.lab, text, take, &name, nullptr) == EVL_OK);
        return name;
    };
    CHECK(full("snapkv") == "snapkv@kvpress");
    CHECK(full("h2o") == "h2o@paper");
    CHECK(full("adakv(snapkv:window=16)") == "adakv@kvpress(snapkv@kvpress:window=16)");
    for (const char* stays : {"snapkv@seed", "snapkv@paper:window=16", "random", "=key_norm", "mine.formula", "nobody"})
        CHECK(full(stays) == stays);

    const Opened bare(lab, "snapkv"), seed(lab, "snapkv@seed"), published(lab, full("snapkv"));
    const PromptLayer prompt;
    CHECK(keep(bare, prompt.layer, {0.5}).mask == keep(seed, prompt.layer, {0.5}).mask);
    CHECK(keep(bare, prompt.layer, {0.5}).mask != keep(published, prompt.layer, {0.5}).mask);
    CHECK(std::string(evl_scorer_name(published.scorer)) == "snapkv@kvpress");
}

TEST_CASE("an oracle keeps what later queries attend to most, at a shape") {
    const std::vector<double> attention{9, 9, 1, 1, 8, 7, 7, 0, 0, 9};
    evl_failure why{};
    const auto kept = [&](std::uint64_t rows, std::uint64_t keep, evl_shape shape, std::uint32_t together = 0) {
        shape.struct_size = sizeof shape;
        std::vector<std::uint8_t> mask(attention.size(), 2);
        CHECK(evl_oracle_keep(attention.data(), rows, attention.size() / rows, keep, &shape, together, mask.data(),
                              &why) == EVL_OK);
        return mask;
    };
    using Mask = std::vector<std::uint8_t>;
    CHECK(kept(2, 2, {}) == Mask{1, 1, 0, 0, 0, 1, 0, 0, 0, 1});
    CHECK(kept(2, 2, {}, 1) == Mask{1, 1, 0, 0, 1, 0, 0, 0, 0, 1});
    CHECK(kept(2, 1, {0, EVL_LAYER, 0, 0, 0, 0, 0}) == Mask{0, 0, 0, 0, 1, 0, 0, 0, 0, 1}); // 8.5 each
    CHECK(kept(2, 2, {0, EVL_LAYER, 0, 2, 0, 0, 0}) == Mask{1, 1, 0, 0, 0, 1, 1, 0, 0, 0});
    CHECK(kept(2, 2, {0, EVL_MODEL, 0, 1, 0, 1, 1}) == Mask{1, 0, 0, 0, 1, 1, 0, 0, 0, 1});
    CHECK(kept(2, 9, {0, 0, 0, 2, 0, 0, 0}) == Mask(10, 1));
    std::uint8_t none = 7;
    const evl_shape protecting{sizeof(evl_shape), 0, 0, 0, 0, 2, 1};
    CHECK(evl_oracle_keep(attention.data(), 1, 10, 2, &protecting, 0, &none, &why) == EVL_USAGE);
    CHECK_THAT(why.text, ContainsSubstring("the first 2 and the last 1 of 10 tokens are to stay in any case"));
    CHECK(evl_oracle_keep(attention.data(), 0, 10, 2, &protecting, 0, &none, &why) == EVL_USAGE);
    CHECK(none == 7);
}

TEST_CASE("numbers of tokens have the names that benches give them") {
    const std::vector<std::uint64_t> keep{200, 512}, prompts{1024, 1024}, same{2000, 3000};
    double names[2];
    evl_failure why{};
    REQUIRE(evl_keep_names(keep.data(), 2, prompts.data(), 2, names, &why) == EVL_OK);
    CHECK(names[0] == 0.195313); // 0.1953125, away from zero
    CHECK(names[1] == 0.5);
    CHECK(evl_keep_names(same.data(), 2, prompts.data(), 2, names, &why) == EVL_USAGE);
    CHECK_THAT(why.text, ContainsSubstring("3000 and another number that keeps the same tokens"));
    CHECK(evl_keep_names(keep.data(), 2, prompts.data(), 0, names, &why) == EVL_USAGE);
}

TEST_CASE("a mean over documents has the interval of reports") {
    const std::vector<double> values{1, 2, 4, 8, 16, 32};
    double mean = 0, low = 0, high = 0;
    REQUIRE(evl_mean_interval(values.data(), values.size(), &mean, &low, &high, nullptr) == EVL_OK);
    const Estimate expected = Bootstrap(values.size()).mean(values);
    CHECK(mean == expected.value);
    CHECK(low == expected.interval->low);
    CHECK(high == expected.interval->high);
    REQUIRE(evl_mean_interval(values.data(), 1, &mean, &low, &high, nullptr) == EVL_OK);
    CHECK((mean == 1 && std::isnan(low) && std::isnan(high)));
    evl_failure why{};
    CHECK(evl_mean_interval(values.data(), 0, &mean, &low, &high, &why) == EVL_USAGE);
    CHECK(evl_mean_interval(values.data(), 10'001, &mean, &low, &high, &why) == EVL_USAGE);
    const double infinite = INFINITY;
    CHECK(evl_mean_interval(&infinite, 1, &mean, &low, &high, &why) == EVL_USAGE);
    CHECK(std::string(why.text) == "values: not all are finite");
}

TEST_CASE("lists are split as the command line splits them") {
    const Lab lab;
    std::vector<std::string> texts;
    const auto add = [](void* context, const char* text) {
        static_cast<std::vector<std::string>*>(context)->emplace_back(text);
    };
    REQUIRE(evl_lab_split(lab.lab, "snapkv@kvpress:window=8,kernel=3,all,=max(key_norm,1)", add, &texts, nullptr) ==
            EVL_OK);
    REQUIRE(texts.size() == evl_lab_scorer_count(lab.lab) + 2);
    CHECK(texts.front() == "snapkv@kvpress:window=8,kernel=3");
    CHECK(texts.back() == "=max(key_norm,1)");
    texts.clear();
    REQUIRE(evl_scorer_files("h2o,dir@1/x.so@p:k=1,adakv(mine.formula)", add, &texts, nullptr) == EVL_OK);
    CHECK(texts == std::vector<std::string>{"dir@1/x.so", "mine.formula"});
}

TEST_CASE("what goes wrong is a code and a text, and changes nothing") {
    const Lab lab;
    evl_scorer* none = nullptr;
    evl_failure failure{};
    CHECK(evl_scorer_open(lab.lab, "snapvk", &none, &failure) == EVL_USAGE);
    CHECK_THAT(std::string(failure.text), ContainsSubstring("snapvk") && ContainsSubstring("snapkv"));
    CHECK(none == nullptr);
    CHECK(evl_scorer_open(lab.lab, nullptr, &none, nullptr) == EVL_USAGE);
    const std::string long_text(5000, 'x');
    CHECK(evl_scorer_open(lab.lab, long_text.c_str(), &none, &failure) == EVL_USAGE);
    CHECK(std::strlen(failure.text) == sizeof failure.text - 1);

    PromptLayer prompt;
    const Opened snapkv(lab, "snapkv@kvpress"), critical(lab, "criticalkv@kvpress(knorm@kvpress)"),
        typed(lab, "=token_type");
    const auto changed = [&](auto change) {
        evl_layer layer = prompt.layer;
        change(layer);
        return layer;
    };
    const auto expect = [](const Refusal& refusal, evl_status status, const char* part) {
        CHECK(refusal.status == status);
        CHECK_THAT(refusal.text, ContainsSubstring(part));
    };
    expect(refused(snapkv, changed([](evl_layer& l) { l.q = nullptr; })), EVL_USAGE,
           "'snapkv@kvpress' needs queries, and layer.q is NULL");
    expect(refused(snapkv, changed([](evl_layer& l) { l.first_query = l.tokens - 8; })), EVL_USAGE,
           "needs the queries from position 704 on, and layer.q begins at 760");
    expect(refused(snapkv, changed([](evl_layer& l) { l.k = nullptr; })), EVL_USAGE, "k is NULL");
    expect(refused(snapkv, changed([](evl_layer& l) { l.kv_heads = 2; })), EVL_USAGE,
           "2 KV heads do not divide 9 query heads");
    expect(refused(snapkv, changed([](evl_layer& l) { l.struct_size = 8; })), EVL_USAGE, "layer.struct_size is 8");
    expect(refused(snapkv, changed([](evl_layer& l) { l.softmax_scale = 0; })), EVL_USAGE, "softmax_scale");
    expect(refused(snapkv, prompt.layer, 1.5), EVL_USAGE, "a removed fraction of 1.5 is not in [0, 1]");
    expect(refused(snapkv, prompt.layer, std::nan("")), EVL_USAGE, "is not in [0, 1]");
    expect(refused(critical, changed([](evl_layer& l) { l.wov_norm = nullptr; })), EVL_USAGE,
           "needs the norms of values behind the output projection");
    const Opened projected(lab, "=leave_one_out:8:wo");
    expect(refused(projected, changed([](evl_layer& l) { l.wo_gram = nullptr; })), EVL_USAGE, "layer.wo_gram is NULL");
    expect(refused(typed, changed([](evl_layer& l) { l.token_type = nullptr; })), EVL_USAGE, "needs token types");
    // What a plugin says of a prompt that is too short for it.
    expect(refused(snapkv, changed([](evl_layer& l) { l.tokens = 64; })), EVL_FAILED, "snapkv");
    prompt.tensors.k[3 * prompt.layer.dim + 5] = INFINITY;
    expect(refused(snapkv, prompt.layer), EVL_FAILED, "k has a value that is not finite at head 0, row 3");
}

TEST_CASE("NULL where something must be is wrong use, and ends no program") {
    const Lab lab;
    PromptLayer prompt;
    const Opened knorm(lab, "knorm@kvpress");
    evl_lab* no_lab = nullptr;
    evl_scorer* no_scorer = nullptr;
    evl_memory* memory = nullptr;
    evl_failure why{};
    const double removed = 0.5;
    double score = 0;
    std::uint8_t kept = 0;
    char hash[80];
    const char* const none[] = {nullptr};
    const auto take = [](void*, const char*) {};
    const auto refused = [&](evl_status status, const char* what) {
        CHECK(status == EVL_USAGE);
        CHECK(std::string(why.text) == std::string(what) + " is NULL");
        why = {};
    };
    refused(evl_lab_open(nullptr, 0, nullptr, &why), "lab");
    refused(evl_lab_open(nullptr, 1, &no_lab, &why), "plugin_dirs");
    refused(evl_lab_open(none, 1, &no_lab, &why), "a folder of plugin_dirs");
    refused(evl_lab_split(nullptr, "all", take, nullptr, &why), "lab");
    refused(evl_lab_split(lab.lab, nullptr, take, nullptr, &why), "list");
    refused(evl_lab_split(lab.lab, "all", nullptr, nullptr, &why), "add");
    refused(evl_scorer_open(nullptr, "h2o", &no_scorer, &why), "lab");
    refused(evl_scorer_open(lab.lab, nullptr, &no_scorer, &why), "text");
    refused(evl_scorer_open(lab.lab, "h2o", nullptr, &why), "scorer");
    refused(evl_lab_full_name(nullptr, "h2o", take, nullptr, &why), "lab");
    refused(evl_lab_full_name(lab.lab, nullptr, take, nullptr, &why), "text");
    refused(evl_lab_full_name(lab.lab, "h2o", nullptr, nullptr, &why), "take");
    refused(evl_memory_open(nullptr, &why), "memory");
    refused(evl_memory_put(nullptr, &prompt.layer, "key_norm", &score, &why), "memory");
    refused(evl_scorer_score(nullptr, &prompt.layer, removed, &score, nullptr, &why), "scorer");
    refused(evl_scorer_score(knorm.scorer, nullptr, removed, &score, nullptr, &why), "layer");
    refused(evl_scorer_score(knorm.scorer, &prompt.layer, removed, nullptr, nullptr, &why), "scores");
    refused(evl_scorer_keep(nullptr, &prompt.layer, &removed, 1, &kept, nullptr, nullptr, &why), "scorer");
    refused(evl_scorer_keep(knorm.scorer, nullptr, &removed, 1, &kept, nullptr, nullptr, &why), "layer");
    refused(evl_scorer_keep(knorm.scorer, &prompt.layer, nullptr, 1, &kept, nullptr, nullptr, &why), "removed");
    refused(evl_scorer_keep(knorm.scorer, &prompt.layer, &removed, 1, nullptr, nullptr, nullptr, &why), "kept");
    refused(evl_scorer_files(nullptr, take, nullptr, &why), "list");
    refused(evl_scorer_files("h2o", nullptr, nullptr, &why), "add");
    refused(evl_mean_interval(nullptr, 1, &score, &score, &score, &why), "values");
    refused(evl_mean_interval(&removed, 1, nullptr, &score, &score, &why), "mean");
    refused(evl_mean_interval(&removed, 1, &score, nullptr, &score, &why), "low");
    refused(evl_mean_interval(&removed, 1, &score, &score, nullptr, &why), "high");
    const evl_shape shape{sizeof(evl_shape), 0, 0, 0, 0, 0, 0};
    const std::uint64_t one = 1;
    refused(evl_oracle_keep(nullptr, 1, 1, 1, &shape, 0, &kept, &why), "attention");
    refused(evl_oracle_keep(&score, 1, 1, 1, nullptr, 0, &kept, &why), "shape");
    refused(evl_oracle_keep(&score, 1, 1, 1, &shape, 0, nullptr, &why), "kept");
    refused(evl_keep_names(nullptr, 1, &one, 1, &score, &why), "keep");
    refused(evl_keep_names(&one, 1, nullptr, 1, &score, &why), "prompts");
    refused(evl_keep_names(&one, 1, &one, 1, nullptr, &why), "names");
    refused(evl_suite_hash(nullptr, hash, &why), "suite");
    refused(evl_suite_hash("smollm2", nullptr, &why), "hash");
    refused(evl_suite_folder(nullptr, take, nullptr, &why), "suite");
    refused(evl_suite_folder("smollm2", nullptr, nullptr, &why), "take");
    CHECK(evl_lab_split(nullptr, nullptr, nullptr, nullptr, nullptr) == EVL_USAGE);

    CHECK(evl_lab_problem_count(nullptr) == 0);
    CHECK(evl_lab_problem(nullptr, 0) == nullptr);
    CHECK(evl_lab_scorer_count(nullptr) == 0);
    CHECK(evl_lab_scorer(nullptr, 0) == nullptr);
    CHECK(evl_scorer_column_count(nullptr) == 0);
    CHECK(evl_scorer_column(nullptr, 0) == nullptr);
    CHECK(evl_scorer_hash(nullptr) == nullptr);
    CHECK(evl_scorer_name(nullptr) == nullptr);
    CHECK(evl_scorer_plugin(nullptr) == nullptr);
    CHECK(evl_scorer_published(nullptr) == 0);
    CHECK(evl_scorer_class(nullptr) == nullptr);
    evl_needs needs{};
    needs.struct_size = sizeof needs;
    needs.queries = 7;
    evl_scorer_needs(nullptr, &needs);
    CHECK(needs.queries == 7);
    evl_scorer_needs(knorm.scorer, nullptr);
    evl_lab_close(nullptr);
    evl_scorer_close(nullptr);
    evl_memory_close(nullptr);
    CHECK((no_lab == nullptr && no_scorer == nullptr && memory == nullptr));
}

TEST_CASE("a suite's hash is that of benches") {
    char hash[80] = "";
    evl_failure failure{};
    const std::string folder = (std::filesystem::path(EVICTLAB_SOURCE_DIR) / "suites" / "smollm2").string();
    REQUIRE(evl_suite_hash(folder.c_str(), hash, &failure) == EVL_OK);
    CHECK(hash == open_captured_suite(folder).hash());
    CHECK(evl_suite_hash("no_such_suite", hash, &failure) == EVL_USAGE);
}
