// The protocols prefill and decode on captured suites, held to the slow judge.
// SPDX-License-Identifier: MIT
#include <algorithm>
#include <fstream>
#include <map>
#include <random>

#include "base/json/json_field.hpp"
#include "framework/bench/scorecard.hpp"
#include "framework/capture/captured_suite.hpp"
#include "framework/capture/suites.hpp"
#include "framework/fitness/prefill_fitness.hpp"
#include "framework/protocols/captured_protocol.hpp"
#include "report/bench_json.hpp"
#include "tests/support/captured_reference.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/temporary_folder.hpp"
#include "tests/support/trace_writer.hpp"
#include "tests/support/written_suite.hpp"

using namespace evictlab;
using namespace evictlab::test;

namespace {

constexpr double agreement = 2e-5; // of single precision with double, relative
const std::vector<double> retentions{0.25, 0.5};

std::vector<TraceShape> shapes() { return small_traces({"train", "valid", "test", "test"}); }

/// A made-up suite, and its layers as the slow judge sees them.
struct MadeUpSuite : WrittenSuite {
    explicit MadeUpSuite(const std::vector<TraceShape>& traces = shapes(), std::size_t hidden = 14)
        : WrittenSuite(traces, hidden) {}
};

std::vector<double> numbers(const AlignedFloats& values) { return {values.begin(), values.end()}; }

SlowLayer slow_layer(const CapturedTrace& trace, const OwnedLayer& tensors, std::size_t layer) {
    const auto* projections = trace.output_projections();
    return {tensors, trace.prompt_len(), std::vector<double>(trace.token_type(), trace.token_type() + trace.seq_len()),
            projections ? numbers(projections->load(layer)) : std::vector<double>{}};
}

Scorer formula_scorer(const std::string& text) { return Scorer::from_formula(text, formula::parse(text)); }

Bench bench(const Suite& suite, const std::vector<std::string>& formulas, BenchOptions options = {}) {
    std::vector<Scorer> scorers;
    for (const auto& text : formulas) scorers.push_back(formula_scorer(text));
    if (options.retentions.empty()) options.retentions = retentions;
    return run_bench(suite, scorers, options);
}

const ScorecardRow& row(const Bench& bench, const std::string& name) {
    return *std::find_if(bench.rows.begin(), bench.rows.end(), [&](const auto& r) { return r.scorer == name; });
}

bool close(double a, double b) { return std::abs(a - b) <= agreement * std::max(std::abs(b), 1e-3); }

} // namespace

TEST_CASE("columns at the end of a prompt are those of the slow judge") {
    const MadeUpSuite made;
    const OwnedLayer tensors = made.trace().load_layer(3);
    const AttentionRows rows(tensors.view());
    const SlowLayer slow = slow_layer(made.trace(), tensors, 3);
    std::vector<std::string> names{"attn_entropy", "cumulative_attn", "recent_attn",  "relative_age",
                                   "token_type",   "window_max:5",    "window_std:5", "rank:cumulative_attn"};
    std::vector<ColumnId> ids;
    for (const auto& name : names) ids.push_back(columns::intern(name));
    PromptColumns columns(tensors.view(), &rows, ids);
    for (std::size_t c = 0; c < names.size(); ++c) {
        const auto expected = slow.column(names[c]);
        for (std::size_t a = 0; a < expected.size(); ++a)
            for (std::size_t j = 0; j < expected[a].size(); ++j) {
                INFO(names[c] << ", head " << a << ", token " << j);
                CHECK(close(columns.columns().view(c, a).data[j], expected[a][j]));
            }
    }
}

TEST_CASE("attention loss and output error of any kept set are those of the slow judge") {
    const MadeUpSuite made;
    std::mt19937 random(7);
    for (const std::size_t number : {0, 3}) {
        const OwnedLayer tensors = made.trace().load_layer(number);
        const AttentionRows rows(tensors.view());
        const SlowLayer slow = slow_layer(made.trace(), tensors, number);
        OutputMetrics metrics;
        const ContinuationDamage damage(rows, made.trace().prompt_len(), metrics.of(made.trace(), number));
        DamageScratch scratch;
        for (const double share : {0.0, 0.04, 0.3, 0.7, 0.97, 1.0}) {
            Sets kept(2);
            for (auto& head : kept)
                for (std::uint32_t j = 0; j < made.trace().prompt_len(); ++j)
                    if (double(random()) / double(random.max()) < share || share == 1) head.push_back(j);
            const Damage fast = damage.of(kept, scratch);
            const SlowDamage expected = slow.damage(kept);
            INFO("layer " << number << ", share kept " << share);
            CHECK(close(fast.attention_loss, expected.attention_loss));
            CHECK(close(fast.output_error, expected.output_error));
        }
    }
}

TEST_CASE("a bench by prefill is the mean over layers of what the slow judge finds") {
    const MadeUpSuite made;
    const Bench result = bench(made.suite, {"cumulative_attn", "-relative_age"});
    CHECK(result.protocol == "prefill");
    CHECK(result.measure == "output_error");
    CHECK(result.more_measures == std::vector<std::string>{"attention_loss"});
    const std::size_t n = made.trace().prompt_len();
    for (std::size_t r = 0; r < retentions.size(); ++r) {
        const auto kept_count = static_cast<std::size_t>(static_cast<double>(n) * (1.0 - (1.0 - retentions[r])));
        SlowDamage sum;
        for (const std::size_t number : {0, 3}) {
            const OwnedLayer tensors = made.trace().load_layer(number);
            const SlowLayer slow = slow_layer(made.trace(), tensors, number);
            Sets kept;
            for (const auto& scores : slow.column("cumulative_attn")) kept.push_back(slow_top(scores, kept_count));
            const SlowDamage damage = slow.damage(kept);
            sum.output_error += damage.output_error / 2;
            sum.attention_loss += damage.attention_loss / 2;
        }
        const auto& card = row(result, "cumulative_attn");
        CHECK(close(card.splits[0].by_retention[r], sum.output_error));
        CHECK(close(card.more_splits[0][0].by_retention[r], sum.attention_loss));
        CHECK(card.retention_used[0][r] == Approx(double(kept_count) / double(n)));
    }
}

TEST_CASE("the predicted KL divergence is half the mean square of the responses that the slow judge sums over layers") {
    auto list = shapes();
    for (auto& shape : list) shape.probes = 3;
    const MadeUpSuite made(list);
    const auto sensitivity = [&](std::size_t layer) {
        return made_up_trace(list[0]).values.at("layers." + std::to_string(layer) + ".sensitivity");
    };
    const std::vector<std::string> texts{"cumulative_attn", "-relative_age"};
    BenchOptions options;
    options.measure = "predicted_kl";
    const Bench result = bench(made.suite, texts, options);
    CHECK(result.more_measures == std::vector<std::string>{"attention_loss", "output_error"});
    std::vector<formula::Program> programs;
    std::vector<FitnessJob> jobs;
    for (const auto& text : texts) programs.emplace_back(formula::parse(text));
    for (const auto& program : programs) jobs.push_back({&program, program.constants()});
    const std::vector<ColumnId> columns{columns::intern("cumulative_attn"), columns::intern("relative_age")};
    const auto fast =
        PrefillFitness(made.suite, retentions, columns, Measure::predicted_kl).evaluate(SearchSplit::train, jobs);
    for (std::size_t r = 0; r < retentions.size(); ++r) {
        const auto kept_count =
            static_cast<std::size_t>(static_cast<double>(made.trace().prompt_len()) * (1.0 - (1.0 - retentions[r])));
        Matrix sum(3, std::vector<double>(made.trace().seq_len() - made.trace().prompt_len()));
        for (const std::size_t number : {0, 3}) {
            const OwnedLayer tensors = made.trace().load_layer(number);
            const SlowLayer slow = slow_layer(made.trace(), tensors, number);
            Sets kept;
            for (const auto& scores : slow.column("cumulative_attn")) kept.push_back(slow_top(scores, kept_count));
            const Matrix responses = slow.responses(kept, sensitivity(number));
            for (std::size_t p = 0; p < sum.size(); ++p)
                for (std::size_t i = 0; i < sum[p].size(); ++i) sum[p][i] += responses[p][i];
        }
        double squares = 0;
        for (const auto& probe : sum)
            for (const double response : probe) squares += response * response;
        const double expected = squares / (2 * double(sum.size() * sum[0].size()));
        CHECK(close(row(result, "cumulative_attn").splits[0].by_trace[0][r], expected));
        CHECK(close(fast[0].by_retention[r], expected));
        CHECK(fast[1].by_retention[r] == Approx(row(result, "-relative_age").splits[0].by_trace[0][r]).epsilon(1e-6));
    }
    CHECK(bench(MadeUpSuite().suite, {"position"}).more_measures == std::vector<std::string>{"attention_loss"});
}

TEST_CASE("no kept set loses less attention than the oracle, and none at equal cost than that of the layer") {
    const MadeUpSuite made;
    const Bench result = bench(made.suite, {"cumulative_attn", "recent_attn", "window_max:5", "-key_norm", "position"});
    for (const auto& card : result.rows)
        for (std::size_t s = 0; s < 3; ++s)
            for (std::size_t r = 0; r < retentions.size(); ++r) {
                const double own = card.more_splits[0][s].by_retention[r];
                CHECK(own >= row(result, "oracle (layer budget)").more_splits[0][s].by_retention[r] - 1e-12);
                if (!card.uneven_budgets) CHECK(own >= row(result, "oracle").more_splits[0][s].by_retention[r] - 1e-12);
            }
}

TEST_CASE("decode keeps, loses and errs as the slow judge does") {
    const MadeUpSuite made;
    const std::vector<std::string> columns{"cumulative_attn", "last_attn:all", "layer_attn:3:ahead=2",
                                           "window_attn:3",   "key_norm",      "relative_age"};
    const std::size_t n = made.trace().prompt_len();
    for (const std::size_t interval : {1, 5}) {
        BenchOptions options;
        options.protocol = "decode";
        options.schedule.interval = interval;
        const Bench result = bench(made.suite, columns, options);
        for (const auto& column : columns)
            for (std::size_t r = 0; r < retentions.size(); ++r) {
                SlowDamage sum;
                for (const std::size_t number : {0, 3}) {
                    const OwnedLayer tensors = made.trace().load_layer(number);
                    const auto capacity =
                        static_cast<std::size_t>(static_cast<double>(n) * (1.0 - (1.0 - retentions[r])));
                    const SlowDamage damage =
                        slow_layer(made.trace(), tensors, number).decode(column, capacity, interval);
                    sum.output_error += damage.output_error / 2;
                    sum.attention_loss += damage.attention_loss / 2;
                }
                INFO(column << " at " << retentions[r] << ", interval " << interval);
                CHECK(close(row(result, column).splits[0].by_retention[r], sum.output_error));
                CHECK(close(row(result, column).more_splits[0][0].by_retention[r], sum.attention_loss));
            }
    }
}

TEST_CASE("decode tells how much of the continuation a cache still holds") {
    const MadeUpSuite made;
    BenchOptions options;
    options.protocol = "decode";
    for (const std::size_t interval : {1, 5}) {
        options.schedule.interval = interval;
        const Bench found = bench(made.suite, {"position", "-position"}, options);
        const auto test = static_cast<std::size_t>(Split::test);
        for (std::size_t r = 0; r < retentions.size(); ++r) {
            // 49 + 12 tokens; the capacity is 12 or 24, and the last cut of intervals of 5 was two tokens before.
            const double capacity = std::floor(49 * retentions[r]), since = interval == 5 ? 2 : 0;
            const double alike = 12.0 / 61;
            CHECK(row(found, "position").continuation_kept[test][r] == Approx(12 / (capacity + since) / alike));
            CHECK(row(found, "-position").continuation_kept[test][r] == Approx(since / (capacity + since) / alike));
        }
    }
    options.protocol = "prefill";
    options.schedule = {};
    CHECK(row(bench(made.suite, {"position"}, options), "position").continuation_kept[2].empty());
}

TEST_CASE("a bench says what a suite says of its documents and how it stores them, and its hash does not know") {
    TemporaryFolder folder;
    std::vector<TraceShape> traces = shapes();
    for (TraceShape& shape : traces) shape.type = "I8";
    write_suite(folder.path, traces, 14);
    const std::string hash = open_captured_suite(folder.path).hash();
    const std::filesystem::path file = folder.path / "suite.json";
    Json json = parse_json(read_text(file, 1 << 20), file.string());
    const Json right{{"tokens", {50, 52}}, {"right", true}}, wrong{{"tokens", {54, 56}}, {"right", false}};
    json["files"][1]["uncompressed"] = {{"nll", 2.5}};
    json["files"][2]["uncompressed"] = {{"nll", 2.5}, {"lookups", {right, wrong}}};
    json["files"][3]["uncompressed"] = {{"nll", 2.5}, {"lookups", {wrong, right, wrong}}};
    std::ofstream(file) << json.dump();
    const Suite suite = open_captured_suite(folder.path);
    CHECK(suite.hash() == hash);
    const Bench found = bench(suite, {"position"});
    CHECK(found.storage == "I8");
    CHECK(found.traces[2][0].left_out.empty());
    CHECK(found.traces[2][1].left_out == "the model answers 1 of 3 lookups without eviction");
    CHECK(found.traces[1][0].left_out.empty());
    const MadeUpSuite exact;
    CHECK(bench(exact.suite, {"position"}).storage.empty());
    json["files"][3]["uncompressed"]["lookups"][0]["right"] = 1;
    std::ofstream(file) << json.dump();
    CHECK_THROWS_WITH(open_captured_suite(folder.path), ContainsSubstring("suite.json") && ContainsSubstring("right"));
}

TEST_CASE("a sliding window bounds what a query sees, in every protocol on captured layers") {
    auto list = shapes();
    for (auto& shape : list) shape.windows = {0, 20};
    TemporaryFolder folder;
    write_suite(folder.path, list, 14);
    SuiteOptions options;
    options.sliding_layers = true;
    const Suite suite = open_captured_suite(folder.path, options);
    const CapturedTrace& trace = *suite.search_traces().train[0]->captured();
    const OwnedLayer tensors = trace.load_layer(3);
    const SlowLayer slow = slow_layer(trace, tensors, 3);
    const AttentionRows rows(tensors.view());
    OutputMetrics metrics;
    const ContinuationDamage damage(rows, trace.prompt_len(), metrics.of(trace, 3));
    DamageScratch scratch;
    const Sets kept{{0, 1, 30, 40, 48}, {2, 33, 47}};
    CHECK(close(damage.of(kept, scratch).output_error, slow.damage(kept).output_error));
    CHECK(close(damage.of(kept, scratch).attention_loss, slow.damage(kept).attention_loss));
    const std::vector<ColumnId> ids{columns::intern("cumulative_attn")};
    PromptColumns columns(tensors.view(), &rows, ids);
    const auto expected = slow.column("cumulative_attn");
    for (std::size_t j = 0; j < trace.prompt_len(); ++j)
        CHECK(close(columns.columns().view(0, 1).data[j], expected[1][j]));
}

TEST_CASE("captured benches give the same bits for any number of threads") {
    const MadeUpSuite made;
    for (const char* protocol : {"prefill", "decode", "rescore"}) {
        std::map<int, std::vector<double>> figures;
        for (const int threads : {1, 2, 7}) {
            BenchOptions options;
            options.protocol = protocol;
            options.threads = threads;
            for (const auto& card : bench(made.suite, {"cumulative_attn", "attn_entropy"}, options).rows)
                for (const Split s : generated_splits) {
                    const SplitErrors& split = card.splits[static_cast<std::size_t>(s)];
                    figures[threads].insert(figures[threads].end(), split.by_retention.begin(),
                                            split.by_retention.end());
                }
        }
        CHECK(figures[1] == figures[2]);
        CHECK(figures[1] == figures[7]);
    }
}

TEST_CASE("what a suite or protocol cannot give is refused by name") {

    const Suite micro = make_suite("micro");
    const MadeUpSuite made;
    BenchOptions prefill, rescore;
    prefill.protocol = "prefill";
    rescore.protocol = "rescore";
    CHECK_THROWS_WITH(bench(micro, {"value_norm"}),
                      ContainsSubstring("scorer 'value_norm' asks for the column 'value_norm'") &&
                          ContainsSubstring("which only captured suites have"));
    CHECK_THROWS_WITH(bench(made.suite, {"key_cos"}, rescore),
                      ContainsSubstring("'key_cos'") && ContainsSubstring("rescore"));
    CHECK_THROWS_WITH(bench(micro, {"position"}, prefill),
                      ContainsSubstring("it is synthetic") && ContainsSubstring("rescore"));
    const MadeUpSuite bare(shapes(), 0);
    CHECK_THROWS_WITH(bench(bare.suite, {"wov_norm"}, rescore),
                      ContainsSubstring("'wov_norm'") && ContainsSubstring("output projection"));
    CHECK_THROWS_WITH(bench(bare.suite, {"rank:leave_one_out:4:wo"}, prefill),
                      ContainsSubstring("'rank:leave_one_out:4:wo'") && ContainsSubstring("output projections"));
    CHECK(bench(bare.suite, {"position", "leave_one_out:4"}).measure == "attention_loss");
    CHECK(bench(made.suite, {"leave_one_out:4:wo"}, prefill).failures.empty());
    BenchOptions measure;
    measure.measure = "output_error";
    CHECK_THROWS_WITH(bench(bare.suite, {"position"}, measure), ContainsSubstring("has no measure 'output_error'"));
    BenchOptions unknown;
    unknown.protocol = "streaming";
    CHECK_THROWS_WITH(bench(micro, {"position"}, unknown), ContainsSubstring("rescore, prefill, decode"));
}

TEST_CASE("what scoring takes is measured beside the figures, which stay as they are") {
    const MadeUpSuite made;
    const std::vector<std::string> names{"key_norm", "wov_norm + window_attn:8", "rank:observed_attn"};
    for (const char* protocol : {"prefill", "decode"}) {
        BenchOptions options;
        options.protocol = protocol;
        const Json plain = report::to_json(bench(made.suite, names, options));
        options.cost = true;
        options.value_bytes = 1.5;
        const Bench timed = bench(made.suite, names, options);
        CHECK(timed.kv_bytes == 2 * 1.5 * 2 * 10);
        for (const ScorecardRow& row : timed.rows) {
            CHECK(row.cost.has_value() == (row.kind != RowKind::bound));
            CHECK((!row.cost || (row.cost->microseconds > 0 && row.cost->measured_on.ends_with("s"))));
        }
        Json rest = report::to_json(timed);
        CHECK(rest.erase("kv_bytes") == 1);
        for (Json& row : rest["rows"]) row.erase("cost");
        CHECK(rest == plain);
        BenchOptions search = options;
        search.for_search = true;
        search.cost = false;
        CHECK_FALSE(bench(made.suite, names, search).rows[0].cost);
    }
}

TEST_CASE("the new columns work on synthetic suites, too") {
    const Suite micro = make_suite("micro");
    const Bench result = bench(micro, {"cumulative_attn/(relative_pos + 1)", "observed_attn", "33*window_attn:33",
                                       "recent_attn", "rank:cumulative_attn", "cumulative_attn", "last_attn"});
    const auto error = [&](const char* name) { return row(result, name).splits[2].by_retention; };
    CHECK(error("cumulative_attn/(relative_pos + 1)") == error("observed_attn"));
    for (std::size_t r = 0; r < retentions.size(); ++r) {
        CHECK(error("33*window_attn:33")[r] == Approx(error("recent_attn")[r]).epsilon(1e-3));
        CHECK(error("rank:cumulative_attn")[r] == Approx(error("cumulative_attn")[r]).epsilon(1e-9));
        CHECK(error("last_attn")[r] == Approx(error("oracle")[r]).epsilon(1e-9)); // it is the row that is judged
    }
}

TEST_CASE("the fast fitness of formulas is the bench's figure, in both measures") {
    auto list = shapes();
    list[1].split = "train"; // two documents of train
    list.push_back(list[1]);
    list.back().split = "valid";
    list.back().document = "a fifth";
    const MadeUpSuite made(list);
    const std::vector<std::string> texts{"if(position < 2, keep, window_attn:8 + layer_ratio*value_norm)",
                                         "rank:key_norm - relative_age", "0"};
    std::vector<formula::Program> programs;
    std::vector<ColumnId> columns;
    std::vector<FitnessJob> jobs;
    for (const auto& text : texts) {
        programs.emplace_back(formula::parse(text));
        columns.insert(columns.end(), programs.back().columns().begin(), programs.back().columns().end());
    }
    for (const auto& program : programs) jobs.push_back({&program, program.constants()});
    const PrefillFitness fitness(made.suite, retentions, columns, Measure::output_error);
    const Bench expected = bench(made.suite, texts);
    for (const SearchSplit split : {SearchSplit::train, SearchSplit::valid}) {
        const auto errors = fitness.evaluate(split, jobs);
        const auto losses = fitness.evaluate(split, jobs, Measure::attention_loss);
        const auto s = static_cast<std::size_t>(split);
        for (std::size_t i = 0; i < texts.size(); ++i)
            for (std::size_t r = 0; r < retentions.size(); ++r) {
                INFO(texts[i]);
                CHECK(errors[i].by_retention[r] ==
                      Approx(row(expected, texts[i]).splits[s].by_retention[r]).epsilon(1e-12));
                CHECK(losses[i].by_retention[r] ==
                      Approx(row(expected, texts[i]).more_splits[0][s].by_retention[r]).epsilon(1e-9));
            }
    }
    const MadeUpSuite bare(list, 0);
    CHECK_THROWS_WITH(PrefillFitness(bare.suite, retentions, columns, Measure::output_error),
                      ContainsSubstring("no output projections"));
    CHECK_THROWS_WITH(PrefillFitness(made.suite, retentions, columns, Measure::attention_loss, 1000),
                      ContainsSubstring("fewer patterns or documents a split, for instance 1"));
}
