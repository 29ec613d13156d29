// Documents in processes of their own: the same figures, races, hashes and runs as in one process, to the bit, for any
// number of them, and where one is killed. SPDX-License-Identifier: MIT
#include "evolution/external/fitness_workers.hpp"
#include "evolution/external/fitness_server.hpp"
#include "evolution/genome.hpp"
#include "framework/fitness/prefill_fitness.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/process.hpp"
#include "tests/support/small_runs.hpp"

using namespace evictlab;
using namespace evictlab::evolution;
namespace fs = std::filesystem;

namespace {

const std::vector<double> retentions{0.25, 0.5};

/// Documents of unequal lengths and layers.
struct Captured {
    test::TemporaryFolder folder;
    Suite suite = make();

    Suite make() const {
        std::vector<test::TraceShape> shapes;
        for (const char* split : {"train", "train", "train", "train", "train", "valid", "valid", "test"}) {
            test::TraceShape shape;
            shape.prompt = 24 + 6 * shapes.size();
            shape.tokens = shape.prompt + 10;
            shape.split = split;
            shape.seed = static_cast<std::uint32_t>(shapes.size() + 1);
            shape.document = "document " + std::to_string(shape.seed);
            shape.probes = 2;
            shapes.push_back(shape);
        }
        write_suite(folder.path, shapes);
        return open_captured_suite(folder.path);
    }
};

const Captured& captured() {
    static const Captured one;
    return one;
}

FormulaMeasuring measuring(Measure measure, Shape shape = {}) {
    std::vector<ColumnId> columns;
    for (const char* name : {"window_attn:4", "key_norm", "position", "recent_attn", "value_norm"})
        columns.push_back(columns::intern(name));
    return {.measure = measure, .retentions = retentions, .columns = columns, .query_stride = 1, .shape = shape};
}

/// As the built program says it: "evictlab 1.2.3".
const std::string& version() {
    static const std::string text = [] {
        const std::string said = test::shell("evictlab --version").out;
        const std::string first = said.substr(0, said.find('\n'));
        return first.substr(first.rfind(' ') + 1);
    }();
    return text;
}

std::string serving(const std::string& more = "") {
    return std::string("exec ") + EVICTLAB_BINARY + " fitness --serve --threads 1" + more;
}

FitnessWorkerOptions options(std::size_t workers, const std::string& command = serving()) {
    FitnessWorkerOptions options;
    options.commands.assign(workers, command);
    options.version = version();
    options.timeout = std::chrono::seconds(60);
    options.first_rest = std::chrono::milliseconds(1);
    return options;
}

std::vector<Genome> formulas() {
    std::vector<Genome> all;
    for (const char* text : {"window_attn:4", "window_attn:4 - 0.125*key_norm", "-0.3*position + 2*value_norm^1.5",
                             "if(position < 4, keep, recent_attn)", "0*position", "1/(position - 3)"})
        all.push_back(Genome::verbatim(formula::parse(text)));
    return all;
}

/// All that a run asks of a fitness.
struct Told {
    std::vector<std::vector<std::vector<double>>> train, valid;
    std::vector<std::vector<double>> compared;
    std::vector<std::uint64_t> hashes;
    std::vector<std::size_t> left;
    std::vector<double> averages;
    bool operator==(const Told&) const = default;
};

Told told(const Fitness& fitness) {
    Told told;
    const std::vector<Genome> genomes = formulas();
    const std::vector<FitnessJob> jobs = jobs_of(genomes);
    for (const auto& errors : fitness.evaluate(SearchSplit::train, jobs)) told.train.push_back(errors.by_document);
    for (const auto& errors : fitness.evaluate(SearchSplit::valid, jobs)) told.valid.push_back(errors.by_document);
    const auto results = fitness.race(jobs, [&](std::size_t heat, std::size_t job, std::span<const double> figures) {
        told.compared.emplace_back(figures.begin(), figures.end());
        return job != heat + 2;
    });
    for (const RaceResult& result : results) {
        told.left.push_back(result.finished ? 99 : result.left_in);
        told.averages.push_back(result.errors.average);
    }
    for (const FitnessJob& job : jobs) told.hashes.push_back(fitness.kept_hash(job).value());
    return told;
}

} // namespace

TEST_CASE("a worker refuses by field what cannot be measured on what it holds, and goes on") {
    std::vector<Json> answers;
    FitnessServer server({captured().suite}, "1.2.3", [&](const Json& answer) { answers.push_back(answer); });
    const auto asked = [&](const Json& request) {
        answers.clear();
        server.take(request.dump());
        return answers.empty() ? Json() : answers.front();
    };
    HeldPart part = held_part_of(captured().suite, measuring(Measure::output_error));
    part.documents = {{{0, 1}, {0}}};
    const Json hold{{"id", 1}, {"hold", Json::array({to_json(part)})}};
    const auto refusal = [&](const Json& request) { return asked(request).value("error", ""); };
    const auto changed = [](Json request, const Json::json_pointer& at, const Json& value) {
        request[at] = value;
        return request;
    };
    const auto held_with = [&](const char* at, const Json& value) {
        return refusal(changed(hold, Json::json_pointer(std::string("/hold/0/") + at), value));
    };
    CHECK_THAT(held_with("retentions", {0.5, 1.5}), ContainsSubstring("retentions: a retention is above 0"));
    CHECK_THAT(held_with("query_stride", 0), ContainsSubstring("query_stride: is 0"));
    CHECK_THAT(held_with("keep", {4}), ContainsSubstring("keep: expected none, or one for each of 2 retentions"));
    REQUIRE(asked(hold).contains("layout"));
    const Json runs = Json::array({Json::array({0, 1})});
    const Json question{{"id", 2},
                        {"suite", 0},
                        {"split", "train"},
                        {"measure", "output_error"},
                        {"by_document", false},
                        {"units", runs},
                        {"retentions", runs},
                        {"jobs", {{{"formula", "key_norm"}, {"constants", Json::array()}}}}};
    CHECK(asked(question).contains("errors"));
    const auto asked_with = [&](const char* at, const Json& value) {
        return refusal(changed(question, Json::json_pointer(at), value));
    };
    CHECK_THAT(asked_with("/measure", "predicted_kl"),
               ContainsSubstring("measure: what is held measures output_error"));
    CHECK_THAT(asked_with("/by_document", true), ContainsSubstring("by_document: this is measured by unit"));
    CHECK_THAT(asked_with("/jobs/0/formula", "last_attn"), ContainsSubstring("reads last_attn, which is not held"));
    CHECK(asked(question).contains("errors"));
}

TEST_CASE("figures, races and hashes of kept sets are those of one process for any number of workers") {
    const Suite& suite = captured().suite;
    const auto [measure, granularity] = GENERATE(
        std::pair{Measure::attention_loss, Granularity::head}, std::pair{Measure::output_error, Granularity::head},
        std::pair{Measure::predicted_kl, Granularity::head}, std::pair{Measure::output_error, Granularity::layer},
        std::pair{Measure::output_error, Granularity::model});
    Shape shape;
    shape.granularity = granularity;
    const FormulaMeasuring by = measuring(measure, shape);
    const Told alone = told(*formula_fitness(suite, by));
    for (const std::size_t number : {1, 2, 4}) {
        const FitnessWorkers workers(options(number), {suite}, {by});
        const auto fitness = formula_fitness(suite, by, {std::nullopt, workers.units_of(0)});
        INFO(number << " workers, measure " << to_string(measure));
        CHECK(told(*fitness) == alone);
    }
}

TEST_CASE("of a generated suite, too") {
    const Suite suite = test::small_micro();
    FormulaMeasuring by = measuring(Measure::attention_loss);
    by.columns = {columns::intern("position")};
    const auto ask = [](const Fitness& fitness) {
        std::vector<std::vector<std::vector<double>>> all;
        std::vector<Genome> genomes;
        for (const char* text : {"recent_attn + 0.3*cumulative_attn", "key_norm", "-position"})
            genomes.push_back(Genome::verbatim(formula::parse(text)));
        const auto jobs = jobs_of(genomes);
        for (const auto& errors : fitness.evaluate(SearchSplit::train, jobs)) all.push_back(errors.by_document);
        for (const auto& job : jobs) all.push_back({{static_cast<double>(fitness.kept_hash(job).value() >> 12)}});
        return all;
    };
    const FitnessWorkers workers(options(2), {suite}, {by});
    CHECK(ask(*formula_fitness(suite, by, {std::nullopt, workers.units_of(0)})) == ask(*formula_fitness(suite, by)));
}

TEST_CASE("documents are dealt in runs of about equal work, and none twice") {
    CHECK(dealt_in_runs({1, 1, 1, 1}, 2) == std::vector<std::size_t>{0, 0, 1, 1});
    CHECK(dealt_in_runs({4, 1, 1, 1, 1}, 2) == std::vector<std::size_t>{0, 1, 1, 1, 1});
    CHECK(dealt_in_runs({1, 1}, 4) == std::vector<std::size_t>{1, 3});
    CHECK(dealt_in_runs({}, 3).empty());
}

TEST_CASE("a worker that dies is started again and asked again, and one that always does ends the work") {
    const Suite& suite = captured().suite;
    const FormulaMeasuring by = measuring(Measure::output_error);
    const Told alone = told(*formula_fitness(suite, by));
    // Lives for 5 requests, each time.
    const std::string mortal = "sed -u 5q | " + serving();
    std::vector<std::string> words;
    FitnessWorkerOptions mixed = options(1, mortal);
    mixed.commands.push_back(serving());
    mixed.tell = [&](const std::string& said) { words.push_back(said); };
    {
        const FitnessWorkers workers(mixed, {suite}, {by});
        CHECK(told(*formula_fitness(suite, by, {std::nullopt, workers.units_of(0)})) == alone);
    }
    REQUIRE(!words.empty());
    CHECK(words.front().starts_with("fitness worker 1 of 2 ("));
    CHECK(words.front().ends_with("it is started again"));

    // Answers what it is to hold, and no more.
    FitnessWorkerOptions hopeless = options(2, "sed -u 1q | " + serving());
    const FitnessWorkers workers(hopeless, {suite}, {by});
    const auto fitness = formula_fitness(suite, by, {std::nullopt, workers.units_of(0)});
    const auto genomes = formulas();
    for (int again = 0; again < 2; ++again)
        CHECK_THROWS_AS(fitness->evaluate(SearchSplit::train, jobs_of(genomes)), FitnessLost);
}

TEST_CASE("a worker that does not fit is refused by name before anything is measured") {
    const Suite& suite = captured().suite;
    const FormulaMeasuring by = measuring(Measure::output_error);
    const auto refusal = [&](FitnessWorkerOptions given) {
        try {
            const FitnessWorkers workers(std::move(given), {suite}, {by});
        } catch (const FitnessLost&) {
            return std::string("lost");
        } catch (const Error& error) {
            return std::string(error.what());
        }
        return std::string("taken");
    };
    CHECK_THAT(refusal(options(2, "exit 3")), ContainsSubstring("does not work: it ended with exit status 3"));
    CHECK_THAT(refusal(options(1, "echo hello")), ContainsSubstring("wrote 'hello' where the line that introduces it"));
    FitnessWorkerOptions other = options(1);
    other.version = "0.0";
    CHECK_THAT(refusal(other), ContainsSubstring("and this is 0.0"));
    const std::string elsewhere =
        R"(echo '{"protocol":"evictlab-fitness/1","evictlab":")" + version() + R"(","probe":"0123456789abcdef"}'; cat)";
    CHECK_THAT(refusal(options(1, elsewhere)), ContainsSubstring("rounds otherwise"));
    CHECK_THAT(refusal(options(1, serving(" --suite micro"))), ContainsSubstring("none of the suites"));
}

TEST_CASE("a search over two and four workers leaves the state of one process") {
    const test::TemporaryFolder folder;
    const auto evolve = [&](const std::string& name, const std::string& more) {
        const auto done =
            test::shell("evictlab evolve --suite '" + captured().folder.path.string() + "' --state " + name +
                            ".json --start window_attn:4 --seed 3 --generations 3 --population 12 "
                            "--tuned 1 --tuning-evaluations 12 --semantic-duplicates skip --race on " +
                            more,
                        folder.path);
        INFO(done.err);
        REQUIRE(done.code == 0);
        return test::saved_run(folder.path / (name + ".json"));
    };
    const std::string alone = evolve("alone", "");
    CHECK(evolve("two", "--fitness-workers 2") == alone);
    CHECK(evolve("four", "--fitness-worker '" + serving() + "' --fitness-workers 3") == alone);
    CHECK_THAT(test::shell("evictlab evolve --suite '" + captured().folder.path.string() +
                               "' --state more.json --fitness-workers 6",
                           folder.path)
                   .err,
               ContainsSubstring("no split has more than 5 documents"));
}

TEST_CASE("a search whose worker is lost ends with the reason, and goes on without it to the same bits") {
    const test::TemporaryFolder folder;
    const std::string usual = "evictlab evolve --suite '" + captured().folder.path.string() +
                              "' --start window_attn:4 --seed 3 --population 12 --tuned 0 --generations 4 --state ";
    REQUIRE(test::shell(usual + "whole.json", folder.path).code == 0);
    // It ends when it was asked five times, and once some generations are saved says nonsense when it is started again.
    const auto lost = test::shell(usual +
                                      "lost.json --fitness-worker 'if [ -e lost.json.journal ] && "
                                      "[ $(wc -l < lost.json.journal) -gt 20 ]; then echo no; exit 7; fi; "
                                      "sed -u 5q | " +
                                      serving() + "'",
                                  folder.path);
    CHECK(lost.code == 1);
    CHECK_THAT(lost.err, ContainsSubstring("fitness worker 1 of 1"));
    CHECK_THAT(lost.err, ContainsSubstring("it is started again"));
    CHECK_THAT(lost.err, ContainsSubstring("wrote 'no' where the line that introduces it belongs"));
    CHECK_THAT(lost.err, ContainsSubstring("See to it that the worker can run"));
    REQUIRE(test::shell("evictlab evolve --state lost.json --resume", folder.path).code == 0);
    CHECK(test::saved_run(folder / "lost.json", {"command"}) == test::saved_run(folder / "whole.json", {"command"}));
}
