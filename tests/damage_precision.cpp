// What eviction does to the outputs, where next to no attention is left or next to none was lost: to a relative 1e-5 of
// plain double arithmetic, however little it is. SPDX-License-Identifier: MIT
#include <algorithm>
#include <cmath>
#include <fstream>
#include <random>

#include "framework/bench/scorecard.hpp"
#include "framework/capture/captured_suite.hpp"
#include "framework/damage/continuation_damage.hpp"
#include "tests/support/captured_reference.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/temporary_folder.hpp"
#include "tests/support/trace_writer.hpp"

using namespace evictlab;
using namespace evictlab::test;

namespace {

constexpr std::size_t prompt = 48, hidden = 14, probes = 3;
constexpr double precision = 1e-5;

bool close(double a, double b) { return std::abs(a - b) <= precision * std::abs(b); }

/// A layer whose queries give the heavy tokens e^gap times the attention of the others.
OwnedLayer peaked_layer(double gap, const std::vector<std::uint32_t>& heavy, std::size_t window = 0) {
    std::mt19937 random(11);
    std::normal_distribution<float> normal;
    OwnedLayer layer;
    layer.shape = {4, 2, 60, 8};
    const LayerShape& s = layer.shape;
    layer.q.resize(s.query_heads * s.tokens * s.dim);
    layer.k.resize(s.kv_heads * s.tokens * s.dim);
    layer.v.resize(layer.k.size());
    layer.rope_inv_freq.assign(s.dim / 2, 0.0F);
    layer.softmax_scale = 0.5F;
    layer.sliding_window = window;
    for (float& x : layer.q) x = 0.1F * normal(random);
    for (float& x : layer.k) x = normal(random);
    for (float& x : layer.v) x = normal(random);
    for (std::size_t i = 0; i < s.query_heads * s.tokens; ++i) layer.q[i * s.dim] = 1;
    for (std::size_t i = 0; i < s.kv_heads * s.tokens; ++i) layer.k[i * s.dim] = 0;
    for (std::size_t a = 0; a < s.kv_heads; ++a)
        for (const std::uint32_t j : heavy) layer.k[(a * s.tokens + j) * s.dim] = static_cast<float>(gap) * 2;
    return layer;
}

std::vector<float> drawn(std::size_t count, std::uint32_t seed) {
    std::mt19937 random(seed);
    std::normal_distribution<float> normal;
    std::vector<float> values(count);
    for (float& value : values) value = normal(random);
    return values;
}

/// A share of the prompt's tokens, at random; of the heavy ones none or all.
Sets random_sets(double share, const std::vector<std::uint32_t>& heavy, bool keep_heavy, std::mt19937& random) {
    Sets kept(2);
    for (auto& head : kept)
        for (std::uint32_t j = 0; j < prompt; ++j) {
            const bool drawn_one = double(random()) / double(random.max()) < share;
            if (std::ranges::count(heavy, j) > 0 ? keep_heavy : drawn_one) head.push_back(j);
        }
    return kept;
}

void check(const OwnedLayer& layer, const Sets& kept) {
    const std::size_t width = layer.shape.query_heads * layer.shape.dim, judged = layer.shape.tokens - prompt;
    const std::vector<float> projection = drawn(hidden * width, 3), sensitivity = drawn(probes * judged * width, 4);
    const SlowLayer slow(layer, prompt, {}, {projection.begin(), projection.end()});
    const OutputMetric metric = OutputMetric::of(projection, width);
    const AttentionRows rows(layer.view());
    const ContinuationDamage fast(rows, prompt, &metric, sensitivity);
    DamageScratch scratch;
    const Damage damage = fast.of(kept, scratch);
    const SlowDamage expected = slow.damage(kept);
    CHECK(std::abs(damage.output_error - expected.output_error) <= precision * expected.output_error);
    CHECK(std::abs(damage.attention_loss - expected.attention_loss) <= precision * expected.attention_loss);
    std::vector<float> responses(fast.responses());
    fast.respond(scratch, responses);
    double squares = 0;
    for (const auto& probe : slow.responses(kept, {sensitivity.begin(), sensitivity.end()}))
        for (const double response : probe) squares += response * response;
    CHECK(close(predicted_kl(responses), squares / double(2 * responses.size())));
}

} // namespace

TEST_CASE("what is left of the attention may be as little as it likes") {
    const std::vector<std::uint32_t> heavy{1, 7, 20, 33, 41};
    std::mt19937 random(5);
    for (const std::size_t window : {0, 52})
        for (const double gap : {0.0, 2.0, 4.0, 8.0, 16.0, 23.0, 30.0, 45.0, 69.0, 80.0, 88.0, 100.0})
            for (const double share : {0.2, 0.55, 0.7, 0.9, 1.0}) {
                INFO("window " << window << ", gap " << gap << ", share kept of the others " << share);
                const OwnedLayer layer = peaked_layer(gap, heavy, window);
                check(layer, random_sets(share, heavy, false, random));
            }
}

TEST_CASE("what is lost of the attention may be as little as it likes") {
    const std::vector<std::uint32_t> heavy{1, 7, 20, 33, 41};
    std::mt19937 random(6);
    for (const std::size_t window : {0, 52})
        for (const double gap : {0.0, 3.0, 6.0, 9.0, 12.0, 16.0, 20.0})
            for (const double share : {0.1, 0.4, 0.6, 0.95}) {
                INFO("window " << window << ", gap " << gap << ", share kept of the others " << share);
                const OwnedLayer layer = peaked_layer(gap, heavy, window);
                check(layer, random_sets(share, heavy, true, random));
            }
}

TEST_CASE("nothing kept of the prompt, and all of it") {
    const OwnedLayer layer = peaked_layer(90, {0, 12, 30});
    check(layer, Sets(2));
    Sets all(2);
    for (auto& head : all)
        for (std::uint32_t j = 0; j < prompt; ++j) head.push_back(j);
    const std::vector<float> projection = drawn(hidden * 32, 3);
    const OutputMetric metric = OutputMetric::of(projection, 32);
    const AttentionRows rows(layer.view());
    DamageScratch scratch;
    const Damage damage = ContinuationDamage(rows, prompt, &metric).of(all, scratch);
    CHECK(damage.output_error == 0);
    CHECK(damage.attention_loss == 0);
}

TEST_CASE("decode: a cache with next to all of the attention, and one with next to none") {
    const std::size_t first_heavy = GENERATE(std::size_t{0}, std::size_t{27}); // `relative_age` keeps the oldest
    const double gap = GENERATE(6.0, 14.0, 25.0);
    INFO("gap " << gap << ", heavy from " << first_heavy);
    const TemporaryFolder folder;
    std::vector<TraceShape> shapes(3);
    const char* const splits[] = {"train", "valid", "test"};
    for (std::size_t i = 0; i < shapes.size(); ++i) {
        shapes[i].split = shapes[i].document = splits[i];
        shapes[i].layers = {1};
        shapes[i].windows = {0};
        shapes[i].tokens = 44;
        shapes[i].prompt = 32;
    }
    write_suite(folder.path, shapes, hidden);
    for (std::size_t i = 0; i < shapes.size(); ++i) {
        const TraceShape& shape = shapes[i];
        MadeUpTrace trace = made_up_trace(shape);
        for (const char* name : {"layers.1.q", "layers.1.k"}) {
            auto values = trace.values.at(name);
            const bool keys = std::string(name).ends_with("k");
            for (std::size_t at = 0; at < values.size(); at += shape.dim) {
                const std::size_t token = at / shape.dim % shape.tokens;
                const bool heavy = token >= first_heavy && token < first_heavy + 5;
                values[at] = !keys ? 1 : heavy ? gap / 0.4 : 0; // the scale is 0.4
            }
            trace.file.at(name).bytes = stored("F32", values).bytes;
        }
        std::ofstream(folder.path / (std::to_string(i) + ".safetensors"), std::ios::binary) << trace.file.bytes();
    }
    rehash_suite(folder.path);
    const Suite suite = open_captured_suite(folder.path);
    const CapturedTrace& trace = *suite.search_traces().train[0]->captured();
    const OwnedLayer tensors = trace.load_layer(1);
    const AlignedFloats projection = trace.output_projections()->load(1);
    const SlowLayer slow(tensors, shapes[0].prompt, std::vector<double>(shapes[0].tokens),
                         {projection.begin(), projection.end()});
    BenchOptions options;
    options.protocol = "decode";
    options.retentions = {0.25, 0.75};
    const std::vector<Scorer> scorers{Scorer::from_formula("relative_age", formula::parse("relative_age"))};
    const Bench bench = run_bench(suite, scorers, options);
    const ScorecardRow& row = *std::ranges::find(bench.rows, "relative_age", &ScorecardRow::scorer);
    for (std::size_t r = 0; r < options.retentions.size(); ++r) {
        const auto capacity = static_cast<std::size_t>(double(shapes[0].prompt) * options.retentions[r]);
        const SlowDamage expected = slow.decode("relative_age", capacity, options.schedule.interval);
        INFO("retention " << options.retentions[r]);
        CHECK(close(row.splits[0].by_retention[r], expected.output_error));
        CHECK(close(row.more_splits[0][0].by_retention[r], expected.attention_loss));
    }
}
