// Benches at an engine's grain, held to the slow judge: the kept sets of scorers and oracles, the ledger, what is
// refused, and what results say. SPDX-License-Identifier: MIT
#include <algorithm>
#include <functional>

#include "framework/bench/scorecard.hpp"
#include "framework/cut/budget.hpp"
#include "framework/fitness/prefill_fitness.hpp"
#include "framework/protocols/all_that_run.hpp"
#include "framework/protocols/protocol.hpp"
#include "framework/scorers/scorer_class.hpp"
#include "report/bench_json.hpp"
#include "report/shape.hpp"
#include "tests/support/captured_reference.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/slow_shapes.hpp"
#include "tests/support/trace_writer.hpp"
#include "tests/support/written_suite.hpp"

using namespace evictlab;
using namespace evictlab::test;

namespace {

constexpr double agreement = 2e-5; // of single precision with double, relative
const std::vector<double> retentions{0.3, 0.6};

std::vector<TraceShape> traces(std::size_t prompt = 43, std::size_t kv_heads = 2) {
    TraceShape shape;
    shape.layers = {0, 3};
    shape.tokens = prompt + 9;
    shape.prompt = prompt;
    shape.query_heads = 4;
    shape.kv_heads = kv_heads;
    return traces_like(shape, {"train", "valid", "test"});
}

struct MadeUpSuite : WrittenSuite {
    explicit MadeUpSuite(const std::vector<TraceShape>& made = traces()) : WrittenSuite(made, 8) {}
};

Shape shape_of(Granularity granularity, Join join, std::size_t block = 1, std::size_t sinks = 0,
               std::size_t recent = 0) {
    Shape shape;
    shape.granularity = granularity;
    shape.join = join;
    shape.block = block;
    shape.sinks = sinks;
    shape.recent = recent;
    return shape;
}

Bench bench(const Suite& suite, const Shape& shape, BenchOptions options = {},
            const std::vector<std::string>& formulas = {"cumulative_attn"}) {
    std::vector<Scorer> scorers;
    for (const auto& text : formulas) scorers.push_back(Scorer::from_formula(text, formula::parse(text)));
    if (options.retentions.empty()) options.retentions = retentions;
    options.shape = shape;
    return run_bench(suite, scorers, options);
}

const ScorecardRow& row(const Bench& bench, const std::string& name) {
    return *std::find_if(bench.rows.begin(), bench.rows.end(), [&](const auto& r) { return r.scorer == name; });
}

bool close(double a, double b) { return std::abs(a - b) <= agreement * std::max(std::abs(b), 1e-3); }

/// The layers of the train document as the slow judge has them.
struct SlowTrace {
    std::vector<OwnedLayer> tensors;
    std::vector<SlowLayer> layers;
    std::size_t n, heads, group;

    explicit SlowTrace(const CapturedTrace& trace) : n(trace.prompt_len()) {
        for (const std::size_t number : trace.layers()) tensors.push_back(trace.load_layer(number));
        for (std::size_t i = 0; i < tensors.size(); ++i) {
            const auto projection = trace.output_projections()->load(trace.layers()[i]);
            layers.emplace_back(tensors[i], n, std::vector<double>(trace.token_type(), trace.token_type() + n),
                                std::vector<double>(projection.begin(), projection.end()));
        }
        heads = tensors[0].shape.kv_heads;
        group = tensors[0].shape.group();
    }

    /// What the later queries attend to, [head][prompt].
    Matrix attention(std::size_t layer) const {
        Matrix sums(heads, std::vector<double>(n));
        for (std::size_t h = 0; h < heads * group; ++h)
            for (std::size_t i = n; i < tensors[layer].shape.tokens; ++i) {
                std::vector<std::uint32_t> all;
                for (std::uint32_t j = 0; j <= i; ++j) all.push_back(j);
                const auto weights = layers[layer].attention(h, i, all);
                for (std::size_t j = 0; j < n; ++j) sums[h / group][j] += weights[j];
            }
        return sums;
    }

    /// The sets of all layers, by scores of each.
    std::vector<Sets> kept(const std::function<Matrix(std::size_t)>& scores, std::size_t kept_count,
                           const Shape& shape) const {
        std::vector<Sets> sets;
        Matrix all;
        for (std::size_t l = 0; l < layers.size(); ++l) {
            const Matrix of_layer = scores(l);
            all.insert(all.end(), of_layer.begin(), of_layer.end());
            std::vector<double> flat;
            for (const auto& head : of_layer) flat.insert(flat.end(), head.begin(), head.end());
            sets.push_back(slow_layer_cut(flat, heads, kept_count, shape).value());
        }
        if (shape.granularity == Granularity::model)
            sets.assign(layers.size(), Sets(heads, slow_cut(slow_joined(all, shape.join), kept_count, shape).value()));
        return sets;
    }

    SlowDamage damage(const std::vector<Sets>& sets) const {
        SlowDamage mean;
        for (std::size_t l = 0; l < layers.size(); ++l) {
            const SlowDamage one = layers[l].damage(sets[l]);
            mean.attention_loss += one.attention_loss / double(layers.size());
            mean.output_error += one.output_error / double(layers.size());
        }
        return mean;
    }

    double share(const std::vector<Sets>& sets) const {
        double tokens = 0;
        for (const Sets& layer : sets)
            for (const auto& head : layer) tokens += double(head.size());
        return tokens / double(layers.size() * heads * n);
    }
};

const std::vector<Shape> many_shapes{
    shape_of(Granularity::layer, Join::mean),         shape_of(Granularity::layer, Join::rank, 8),
    shape_of(Granularity::layer, Join::max, 1, 3, 5), shape_of(Granularity::model, Join::mean),
    shape_of(Granularity::model, Join::rank),         shape_of(Granularity::model, Join::share, 4, 2, 4),
    shape_of(Granularity::model, Join::max, 16),      shape_of(Granularity::head, Join::mean, 8),
    shape_of(Granularity::head, Join::mean, 5, 1, 3)};

} // namespace

TEST_CASE("a bench at any shape is what the slow judge finds for the sets of the definition, ledger included") {
    const MadeUpSuite made;
    const SlowTrace slow(made.trace());
    for (const Shape& shape : many_shapes) {
        const Bench result = bench(made.suite, shape);
        for (std::size_t r = 0; r < retentions.size(); ++r) {
            INFO(in_words(shape) << ", retention " << retentions[r]);
            const std::size_t kept_count = kept_count_for_removed(slow.n, 1.0 - retentions[r]);
            const auto sets =
                slow.kept([&](std::size_t l) { return slow.layers[l].column("cumulative_attn"); }, kept_count, shape);
            const SlowDamage expected = slow.damage(sets);
            const ScorecardRow& card = row(result, "cumulative_attn");
            CHECK(close(card.splits[0].by_retention[r], expected.output_error));
            CHECK(close(card.more_splits[0][0].by_retention[r], expected.attention_loss));
            CHECK(card.retention_used[0][r] == Approx(slow.share(sets)));
        }
    }
}

TEST_CASE("the oracle of a shape keeps what its sets are attended to most, and no row loses less attention") {
    const MadeUpSuite made;
    const SlowTrace slow(made.trace());
    for (const Shape& shape : many_shapes) {
        const Bench result = bench(made.suite, shape, {}, {"cumulative_attn", "-relative_age", "last_attn"});
        Shape by_sums = shape;
        by_sums.join = Join::mean;
        by_sums.block_score = BlockScore::sum;
        for (std::size_t r = 0; r < retentions.size(); ++r) {
            INFO(in_words(shape) << ", retention " << retentions[r]);
            const std::size_t kept_count = kept_count_for_removed(slow.n, 1.0 - retentions[r]);
            const auto sets = slow.kept([&](std::size_t l) { return slow.attention(l); }, kept_count, by_sums);
            const double loss = row(result, "oracle").more_splits[0][0].by_retention[r];
            CHECK(close(loss, slow.damage(sets).attention_loss));
            for (const auto& other : result.rows)
                if (other.scorer == "oracle" || shape.granularity != Granularity::head)
                    CHECK(other.more_splits[0][0].by_retention[r] >= loss * (1 - agreement));
        }
    }
}

TEST_CASE("who shares a set has the oracle of the shape alone") {
    const MadeUpSuite made;
    const auto bounds = [&](const Shape& shape) {
        std::vector<std::string> names;
        for (const auto& card : bench(made.suite, shape).rows)
            if (card.kind == RowKind::bound) names.push_back(card.scorer);
        return names;
    };
    CHECK(bounds(shape_of(Granularity::model, Join::mean)) == std::vector<std::string>{"oracle"});
    CHECK(bounds(shape_of(Granularity::layer, Join::mean)) == std::vector<std::string>{"oracle"});
    CHECK(bounds(shape_of(Granularity::head, Join::mean, 8)).size() == 2);
}

TEST_CASE("figures of a shape are the same bits for any number of threads") {
    const MadeUpSuite made;
    for (const Shape& shape : {many_shapes[1], many_shapes[5]}) {
        BenchOptions one, seven;
        one.threads = 1;
        seven.threads = 7;
        CHECK(report::to_json(bench(made.suite, shape, one)) == report::to_json(bench(made.suite, shape, seven)));
    }
}

TEST_CASE("a search measures at the shape what a bench does, and hashes what is kept there") {
    std::vector<TraceShape> probed = traces();
    for (TraceShape& shape : probed) shape.probes = 3;
    const MadeUpSuite made(probed);
    const std::vector<std::string> formulas{"cumulative_attn", "2*cumulative_attn + 1", "last_attn"};
    const std::vector<ColumnId> columns{columns::intern("cumulative_attn"), columns::intern("last_attn")};
    std::vector<formula::Program> programs;
    for (const auto& text : formulas) programs.emplace_back(formula::parse(text));
    std::vector<FitnessJob> jobs;
    for (const auto& program : programs) jobs.push_back({&program, program.constants()});
    std::vector<Shape> shapes = many_shapes;
    shapes.push_back({});
    for (const Shape& shape : shapes)
        for (const Measure measure : {Measure::attention_loss, Measure::output_error, Measure::predicted_kl}) {
            INFO(in_words(shape) << ", " << to_string(measure));
            BenchOptions options;
            options.measure = to_string(measure);
            const Bench expected = bench(made.suite, shape, options, formulas);
            const PrefillFitness fitness(made.suite, retentions, columns, measure, std::size_t{1} << 30, 1, shape);
            const auto found = fitness.evaluate(SearchSplit::train, jobs);
            const auto raced =
                fitness.race(jobs, [](std::size_t, std::size_t, std::span<const double>) { return true; });
            for (std::size_t j = 0; j < jobs.size(); ++j) {
                const auto& errors = row(expected, formulas[j]).splits[0].by_retention;
                for (std::size_t r = 0; r < retentions.size(); ++r)
                    CHECK(found[j].by_retention[r] == Approx(errors[r]).epsilon(1e-6));
                CHECK(raced[j].errors.by_retention == found[j].by_retention);
            }
            if (shape.block < 16) CHECK(fitness.kept_hash(jobs[0]) != fitness.kept_hash(jobs[2])); // else 3 blocks
            if (shape.join != Join::share) CHECK(fitness.kept_hash(jobs[0]) == fitness.kept_hash(jobs[1]));
        }
    CHECK_THROWS_WITH(PrefillFitness(made.suite, retentions, columns, Measure::output_error, std::size_t{1} << 30, 1,
                                     shape_of(Granularity::model, Join::mean, 1, 9, 9)),
                      ContainsSubstring("the first 9 and the last 9 of 43 tokens are to stay"));
}

TEST_CASE("a search with numbers of tokens measures what a bench with them does") {
    const MadeUpSuite made(traces());
    const std::vector<std::string> formulas{"cumulative_attn", "last_attn"};
    const std::vector<ColumnId> columns{columns::intern("cumulative_attn"), columns::intern("last_attn")};
    std::vector<formula::Program> programs;
    for (const auto& text : formulas) programs.emplace_back(formula::parse(text));
    std::vector<FitnessJob> jobs;
    for (const auto& program : programs) jobs.push_back({&program, program.constants()});
    for (const Shape& shape : {Shape{}, shape_of(Granularity::layer, Join::mean, 4, 0, 0)}) {
        BenchOptions options;
        options.keep = {9, 21, 100};
        options.for_search = true;
        options.measure = "output_error";
        const Bench expected = bench(made.suite, shape, options, formulas);
        const PrefillFitness fitness(made.suite, expected.retentions, columns, Measure::output_error,
                                     std::size_t{1} << 30, 1, shape, options.keep);
        const auto found = fitness.evaluate(SearchSplit::train, jobs);
        for (std::size_t j = 0; j < jobs.size(); ++j)
            for (std::size_t r = 0; r < 3; ++r)
                CHECK(found[j].by_retention[r] ==
                      Approx(row(expected, formulas[j]).splits[0].by_retention[r]).epsilon(1e-6).margin(1e-12));
    }
    CHECK_THROWS_WITH(PrefillFitness(made.suite, {0.1}, columns, Measure::output_error, std::size_t{1} << 30, 1,
                                     shape_of(Granularity::layer, Join::mean, 1, 9, 9), {17}),
                      ContainsSubstring("the first 9 and the last 9 of 43 tokens are to stay"));
}

TEST_CASE("with one KV head a layer is a head, and blocks of one token are no blocks") {
    const MadeUpSuite made(traces(43, 1));
    const auto rows = [&](const Shape& shape) {
        Json json = report::to_json(bench(made.suite, shape));
        std::erase_if(json["rows"].get_ref<Json::array_t&>(),
                      [](const Json& of) { return of["scorer"] == layer_oracle_name; });
        return json["rows"];
    };
    const Json plain = rows({});
    for (const Join join : {Join::mean, Join::max, Join::rank, Join::share})
        CHECK(rows(shape_of(Granularity::layer, join)) == plain);
    CHECK(rows(shape_of(Granularity::head, Join::mean, 1)) == plain);
}

TEST_CASE("a prompt that is shorter than a block is kept whole") {
    const MadeUpSuite made;
    for (const Granularity granularity : {Granularity::head, Granularity::layer, Granularity::model}) {
        const Bench result = bench(made.suite, shape_of(granularity, Join::mean, 64));
        CHECK(row(result, "cumulative_attn").retention_used[0] == std::vector<double>{1, 1});
        CHECK(row(result, "cumulative_attn").more_splits[0][0].average == Approx(0).margin(1e-9));
    }
}

TEST_CASE("budgets are numbers of tokens, too") {
    const MadeUpSuite made;
    BenchOptions options;
    options.keep = {12, 500};
    const Bench result = bench(made.suite, {}, options);
    CHECK(result.retentions == std::vector<double>{0.27907, 1});
    CHECK(row(result, "cumulative_attn").retention_used[0][0] == Approx(12.0 / 43));
    CHECK(row(result, "cumulative_attn").retention_used[0][1] == 1);
    BenchOptions share;
    share.retentions = {12.5 / 43};
    CHECK(row(bench(made.suite, {}, share), "cumulative_attn").splits[0].by_retention[0] ==
          row(result, "cumulative_attn").splits[0].by_retention[0]);
    const Bench again = report::bench_from_json(report::to_json(result), "again.json");
    CHECK(again.cut.keep == options.keep);
    CHECK(report::cut_text(result.cut, result.retentions) ==
          "Kept tokens: 12 (0.27907 of a prompt, on the mean), 500 (1.00 of a prompt, on the mean).");
    options.keep = {500, 501};
    CHECK_THROWS_WITH(bench(made.suite, {}, options), ContainsSubstring("keep has 501 and another number"));
}

TEST_CASE("a result names its shape, reads back to it, and says which layers were joined") {
    const MadeUpSuite made;
    const Shape shape = shape_of(Granularity::model, Join::rank, 4, 2, 4);
    const Bench result = bench(made.suite, shape);
    const Json json = report::to_json(result);
    CHECK(json["shape"] == Json::parse(R"({"granularity": "model", "join": "rank", "block": 4, "sinks": 2, "recent": 4,
                                           "joined_layers": 2, "of_layers": 6})"));
    CHECK(report::bench_from_json(json, "shape.json").cut == result.cut);
    CHECK(
        report::cut_text(result.cut, result.retentions) ==
        "Shape: one set for all layers and heads, scores joined by rank; blocks of 4 tokens; the first 2 and the last "
        "4 tokens stay (2 of the model's 6 layers, which the traces hold).");
    CHECK(report::cut_options(result.cut) == " --granularity model --join rank --block 4 --sinks 2 --recent 4");
    Json wrong = json;
    wrong["shape"]["block"] = 0;
    CHECK_THROWS_WITH(report::bench_from_json(wrong, "shape.json"), ContainsSubstring("shape: block is 0"));
    CHECK_FALSE(report::to_json(bench(made.suite, {})).contains("shape"));
}

TEST_CASE("what cannot be had at a shape is refused by name") {
    const MadeUpSuite made;
    CHECK_THROWS_WITH(bench(made.suite, shape_of(Granularity::head, Join::mean, 1, 4, 10)),
                      ContainsSubstring("retention 0.3 of 43: the first 4 and the last 10 of 43 tokens are to stay"));
    BenchOptions rescore;
    rescore.protocol = "rescore";
    CHECK_THROWS_WITH(bench(made.suite, shape_of(Granularity::layer, Join::mean), rescore),
                      ContainsSubstring("the protocol rescore is the original benchmark's"));
    BenchOptions decode;
    decode.protocol = "decode";
    CHECK_THROWS_WITH(bench(made.suite, shape_of(Granularity::model, Join::mean), decode),
                      ContainsSubstring("the protocol decode lets each layer decode by itself"));
    CHECK_THROWS_WITH(bench(made.suite, shape_of(Granularity::head, Join::mean, 8), decode),
                      ContainsSubstring("use the granularity layer"));
    PluginHost host;
    const auto why = [&](const char* scorer, Granularity granularity) {
        return refusal(make_scorer(scorer, host), made.suite, "prefill", shape_of(granularity, Join::mean));
    };
    CHECK_THAT(why("adakv@kvpress(knorm@kvpress)", Granularity::layer),
               ContainsSubstring("gives heads different numbers"));
    CHECK_THAT(why("global@kvpress(knorm@kvpress)", Granularity::layer), ContainsSubstring("gives heads different"));
    CHECK_THAT(why("pyramidkv@kvpress", Granularity::model), ContainsSubstring("gives layers different numbers"));
    CHECK(why("pyramidkv@kvpress", Granularity::layer).empty());
    CHECK(why("knorm@kvpress", Granularity::model).empty());
    for (const Scorer& scorer : all_that_run(host, made.suite, "prefill", shape_of(Granularity::model, Join::mean)))
        CHECK(class_of(scorer).budget_kind() == BudgetKind::uniform);
}

TEST_CASE("a scorer whose budgets leave less than is protected costs its own row alone") {
    const MadeUpSuite made;
    PluginHost host;
    const std::vector<Scorer> scorers{make_scorer("adakv@kvpress:alpha=0(knorm@kvpress)", host),
                                      make_scorer("knorm@kvpress", host)};
    BenchOptions options;
    options.retentions = {0.3};
    options.shape = shape_of(Granularity::head, Join::mean, 1, 2, 9);
    const Bench result = run_bench(made.suite, scorers, options);
    REQUIRE(result.failures.size() == 1);
    CHECK_THAT(result.failures[0].what(), ContainsSubstring("are to stay in any case"));
    CHECK(row(result, "knorm@kvpress").retention_used[0][0] == Approx(12.0 / 43));
}

TEST_CASE("a cache that decodes is cut for all heads of the layer alike, in blocks, and protects its ends") {
    const MadeUpSuite made;
    BenchOptions options;
    options.protocol = "decode";
    for (const Shape& shape : {shape_of(Granularity::layer, Join::mean), shape_of(Granularity::layer, Join::mean, 4),
                               shape_of(Granularity::head, Join::mean, 1, 2, 3)}) {
        INFO(in_words(shape));
        const Bench result = bench(made.suite, shape, options, {"cumulative_attn", "-relative_age", "relative_age"});
        CHECK(result.failures.empty());
        for (const char* name : {"oracle", "cumulative_attn"})
            for (std::size_t r = 0; r < retentions.size(); ++r)
                CHECK(row(result, name).retention_used[0][r] <=
                      double(kept_count_for_removed(43, 1.0 - retentions[r])) / 43);
    }
    // the newest go at once, but for those that are protected
    const Bench free = bench(made.suite, shape_of(Granularity::layer, Join::mean), options, {"relative_age"});
    const Bench held = bench(made.suite, shape_of(Granularity::layer, Join::mean, 1, 0, 6), options, {"relative_age"});
    CHECK(row(free, "relative_age").continuation_kept[0][0] == 0);
    CHECK(row(held, "relative_age").continuation_kept[0][0] > 0);
}
