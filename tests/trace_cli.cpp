// Captured suites and the command `trace` as a user meets them.
// SPDX-License-Identifier: MIT
#include <nlohmann/json.hpp>

#include "base/error.hpp"
#include "framework/capture/captured_suite.hpp"
#include "framework/capture/suites.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/process.hpp"
#include "tests/support/saved_run.hpp"
#include "tests/support/trace_writer.hpp"

using namespace evictlab;
using namespace evictlab::test;
namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

namespace {

TraceShape document(const std::string& name, const std::string& split, std::uint32_t seed) {
    TraceShape shape;
    shape.document = name;
    shape.split = split;
    shape.seed = seed;
    shape.tokens = 96;
    shape.prompt = 80;
    return shape;
}

std::vector<TraceShape> documents() {
    return {document("novel", "train", 1), document("parser", "train", 2), document("essay", "valid", 3),
            document("licence", "test", 4)};
}

/// A suite `mine` in a folder of its own.
struct MadeUpSuite {
    TemporaryFolder parent;
    fs::path folder = parent / "mine";

    explicit MadeUpSuite(const std::vector<TraceShape>& traces = documents(), std::size_t hidden = 8) {
        fs::create_directory(folder);
        write_suite(folder, traces, hidden);
    }
    Outcome run(const std::string& command) const { return shell(command, parent.path.string()); }
    /// Changes suite.json.
    template <class Change>
    void edit(Change change) const {
        Json json = Json::parse(bytes_of(folder / "suite.json"));
        change(json);
        put(folder / "suite.json", json.dump());
    }
    /// Changes a trace; the hash is made to fit unless told not to.
    template <class Change>
    void edit_trace(const TraceShape& shape, const char* file, Change change) const {
        MadeUpTrace trace = made_up_trace(shape);
        change(trace.file);
        put(folder / file, trace.file.bytes());
        rehash_suite(folder);
    }
};

std::string open_message(const MadeUpSuite& suite) {
    try {
        open_captured_suite(suite.folder);
    } catch (const Error& error) {
        return error.what();
    }
    return {};
}

} // namespace

TEST_CASE("trace info shows what a trace holds, and goes on after a file that is none") {
    TraceShape shape = document("novel", "test", 1);
    shape.windows = {0, 32};
    shape.type = "I8";
    const TemporaryFolder folder;
    put(folder / "novel.safetensors", made_up_trace(shape).file.bytes());
    put(folder / "text.txt", "no trace at all");
    const Outcome outcome = shell("evictlab trace info text.txt novel.safetensors", folder.path.string());
    CHECK(outcome.code == 1);
    CHECK_THAT(outcome.err, ContainsSubstring("text.txt: claims a header of"));
    for (const char* part : {"novel.safetensors (", "document      novel", "split         test",
                             "model         made-up", "licence       MIT", "weights       made up",
                             "96: prompt 80, continuation 16", "2 of 6: 1, 4", "softmax scale 0.4", "I8"})
        CHECK_THAT(outcome.out, ContainsSubstring(part));
    CHECK_THAT(outcome.out, ContainsSubstring("full") && ContainsSubstring("32"));
    CHECK(shell("evictlab trace info novel.safetensors", folder.path.string()).code == 0);
}

TEST_CASE("trace is told how it is used") {
    CHECK_THAT(shell("evictlab trace --help").out, ContainsSubstring("Examples:\n  evictlab trace"));
    for (const auto& [command, message] :
         {std::pair("evictlab trace", "expected info or verify"), std::pair("evictlab trace inform x", "'inform'"),
          std::pair("evictlab trace info", "no file given"), std::pair("evictlab trace verify", "expected one suite"),
          std::pair("evictlab trace verify /nowhere", "no captured suite '/nowhere'")}) {
        const Outcome outcome = shell(command);
        INFO(command);
        CHECK(outcome.code == 2);
        CHECK_THAT(outcome.err, ContainsSubstring(message));
    }
}

TEST_CASE("A sound suite verifies by folder and, on the suite path, by name") {
    const MadeUpSuite suite;
    const Outcome by_folder = suite.run("evictlab trace verify mine/");
    INFO(by_folder.out << by_folder.err);
    CHECK(by_folder.code == 0);
    CHECK_THAT(by_folder.out, ContainsSubstring("ok: suite 'mine', 4 traces of made-up, with output projections"));
    CHECK(shell("export EVICTLAB_SUITE_PATH=/nowhere:'" + suite.parent.path.string() + "'; evictlab trace verify mine")
              .code == 0);
    CHECK(shell("evictlab trace verify mine").code == 2);
}

TEST_CASE("A captured suite is benched as the others are, the same by name and by folder") {
    const MadeUpSuite suite;
    const std::string bench = " --protocol rescore --scorers h2o@seed,=-relative_pos,=token_type --format json";
    const std::string command = "evictlab bench --suite ";
    const Outcome by_folder = suite.run(command + "./mine" + bench);
    INFO(by_folder.err);
    REQUIRE(by_folder.code == 0);
    const Json json = Json::parse(by_folder.out);
    CHECK(json.at("suite").at("name") == "mine");
    CHECK(json.at("suite").at("folder") == "./mine");
    CHECK(json.at("rows").size() == 5);
    const Outcome by_name =
        shell("export EVICTLAB_SUITE_PATH='" + suite.parent.path.string() + "'; " + command + "mine" + bench);
    REQUIRE(by_name.code == 0);
    CHECK(Json::parse(by_name.out).at("suite").contains("folder") == false);
    CHECK(Json::parse(by_name.out).at("suite").at("hash") == json.at("suite").at("hash"));
    CHECK(Json::parse(by_name.out).at("rows") == json.at("rows"));
    const Outcome wrong = suite.run(command + "./mine --layers 2");
    CHECK(wrong.code == 2);
    CHECK_THAT(wrong.err, ContainsSubstring("--layers belongs to suite 'micro': 'mine' was captured from a model"));
    CHECK_THAT(shell("evictlab bench --suite micro --sliding-layers").err, ContainsSubstring("captured from a model"));
}

TEST_CASE("A run goes on wherever its suite lies by then, and on no other") {
    const MadeUpSuite suite;
    const auto to_generation = [](int n) { return " --quiet --generations " + std::to_string(n); };
    const std::string resume = "evictlab evolve --state run.json --resume";
    REQUIRE(suite
                .run("evictlab evolve --suite ./mine --state run.json --start value_norm --population 4 --tuned 0 "
                     "--retention 0.5" +
                     to_generation(1))
                .code == 0);
    fs::create_directory(suite.parent / "elsewhere");
    fs::rename(suite.folder, suite.parent / "elsewhere" / "mine");
    const Outcome lost = suite.run(resume + to_generation(2));
    CHECK(lost.code == 1);
    CHECK_THAT(lost.err,
               ContainsSubstring("there is no suite in the folder ./mine") && ContainsSubstring("EVICTLAB_SUITE_PATH"));
    CHECK(suite.run("export EVICTLAB_SUITE_PATH=elsewhere; " + resume + to_generation(2)).code == 0);
    CHECK(suite.run(resume + " --suite elsewhere/mine" + to_generation(3)).code == 0);
    std::vector<TraceShape> other = documents();
    other.back().seed = 99;
    write_suite(suite.parent / "elsewhere" / "mine", other, 8);
    const Outcome changed = suite.run("export EVICTLAB_SUITE_PATH=elsewhere; " + resume + to_generation(4));
    CHECK(changed.code == 1);
    CHECK_THAT(changed.err, ContainsSubstring("hash"));
}

TEST_CASE("A suite has its splits, its projections, and a hash over its files") {
    const MadeUpSuite made;
    const Suite suite = open_captured_suite(made.folder);
    CHECK(suite.captured());
    CHECK(suite.name() == "mine");
    CHECK(suite.size(Split::train) == 2);
    CHECK(suite.size(Split::test) == 1);
    const SearchTraces search = suite.search_traces();
    REQUIRE(search.valid.size() == 1);
    const CapturedTrace* const trace = search.valid[0]->captured();
    REQUIRE(trace != nullptr);
    CHECK(trace->name() == "mine/valid/essay");
    CHECK(trace->kind() == "prose");
    REQUIRE(trace->output_projections() != nullptr);
    CHECK(trace->output_projections()->load(4).size() == 8 * 4 * 6);
    CHECK(make_suite_from_parameters(suite.parameters_json()).hash() == suite.hash());
    SuiteOptions first_of_each;
    first_of_each.patterns = 1;
    CHECK(open_captured_suite(made.folder, first_of_each).hash() != suite.hash());
    CHECK(open_captured_suite(made.folder, first_of_each).size(Split::train) == 1);

    std::vector<TraceShape> other = documents();
    other.back().seed = 99;
    CHECK(open_captured_suite(MadeUpSuite(other).folder).hash() != suite.hash());
    CHECK(open_captured_suite(MadeUpSuite(documents(), 4).folder).hash() != suite.hash());
    CHECK(open_captured_suite(MadeUpSuite().folder).hash() == suite.hash());

    const Suite without = open_captured_suite(MadeUpSuite(documents(), 0).folder);
    CHECK(without.search_traces().train[0]->captured()->output_projections() == nullptr);
}

TEST_CASE("A second model's documents are a split of their own") {
    std::vector<TraceShape> traces = documents();
    traces.push_back(document("licence", "test_other_model", 4));
    traces.back().model = "another";
    const MadeUpSuite made(traces);
    const Suite suite = open_captured_suite(made.folder);
    CHECK(suite.size(Split::test) == 1);
    CHECK(suite.size(Split::test_other_model) == 1);
    CHECK(verify_suite(made.folder).empty()); // both splits only judge: they may share a document

    const Outcome outcome = made.run("evictlab bench --suite ./mine --scorers snapkv@kvpress --format json");
    INFO(outcome.err);
    REQUIRE(outcome.code == 0);
    const Json row = Json::parse(outcome.out).at("rows").at(0);
    const Json losses = row.at("measures").at("attention_loss");
    CHECK(losses.at("test_other_model") == losses.at("test")); // the same values under another model's name
    CHECK(row.at("splits").contains("test"));
    CHECK_FALSE(row.at("splits").contains("test_other_model")); // the projections are not its model's
    CHECK_THAT(made.run("evictlab bench --suite ./mine --scorers snapkv@kvpress --split test").out,
               ContainsSubstring("test_other_model   valid   train"));
    put(made.parent / "bench.json", outcome.out);
    const Outcome report = made.run("evictlab report --bench bench.json");
    CHECK_THAT(report.out, ContainsSubstring("attention loss, other model 0.25") &&
                               ContainsSubstring("the mean over 1 document of the split test_other_model"));
}

TEST_CASE("A suite of a second model's documents alone is benched and reported by that split") {
    std::vector<TraceShape> traces;
    for (std::uint32_t seed = 1; seed <= 3; ++seed)
        traces.push_back(document("text" + std::to_string(seed), "test_other_model", seed));
    const MadeUpSuite other(traces);
    CHECK(other.run("evictlab trace verify ./mine").code == 0);
    const std::string bench =
        "evictlab bench --suite ./mine --scorers snapkv@kvpress,'criticalkv@kvpress(snapkv@kvpress)'";
    const Outcome outcome = other.run(bench + " --format json");
    INFO(outcome.err);
    REQUIRE(outcome.code == 0);
    const Json json = Json::parse(outcome.out);
    CHECK(json.at("measure") == "output_error");
    CHECK(json.at("traces").at("test").empty());
    CHECK(json.at("traces").at("test_other_model").size() == 3);

    for (TraceShape& shape : traces) shape.split = "test";
    const Outcome as_test = MadeUpSuite(traces).run(bench + " --format json");
    REQUIRE(as_test.code == 0);
    const Json json_as_test = Json::parse(as_test.out);
    for (std::size_t i = 0; i < json.at("rows").size(); ++i) {
        const Json &row = json.at("rows").at(i), &expected = json_as_test.at("rows").at(i);
        CHECK(row.at("splits").size() == 1);
        CHECK(row.at("splits").at("test_other_model") == expected.at("splits").at("test"));
        CHECK(row.at("retention_used").at("test_other_model") == expected.at("retention_used").at("test"));
    }

    CHECK_THAT(other.run(bench).out, !ContainsSubstring("n/a"));
    put(other.parent / "bench.json", outcome.out);
    const Outcome report = other.run("evictlab report --bench bench.json");
    INFO(report.err);
    REQUIRE(report.code == 0);
    CHECK_THAT(report.out, ContainsSubstring("Mean over 3 documents of the split test_other_model") &&
                               ContainsSubstring("| 1 | `") && !ContainsSubstring(", other model"));
}

TEST_CASE("Layers with a sliding window are judged only when asked for") {
    std::vector<TraceShape> traces = documents();
    for (TraceShape& shape : traces) shape.windows = {16, 0};
    const MadeUpSuite some(traces);
    const std::string bench = "evictlab bench --suite ./mine --protocol rescore --scorers h2o@seed --format json";
    const Outcome full = some.run(bench), all = some.run(bench + " --sliding-layers");
    REQUIRE(full.code == 0);
    REQUIRE(all.code == 0);
    CHECK(Json::parse(full.out).at("rows") != Json::parse(all.out).at("rows"));
    CHECK(Json::parse(full.out).at("suite").at("hash") != Json::parse(all.out).at("suite").at("hash"));
    for (TraceShape& shape : traces) shape.windows = {16, 16};
    const MadeUpSuite none(traces);
    CHECK_THAT(open_message(none), ContainsSubstring("by the option sliding-layers"));
    SuiteOptions sliding;
    sliding.sliding_layers = true;
    CHECK(open_captured_suite(none.folder, sliding).size(Split::train) == 2);
}

TEST_CASE("Whatever bench writes, report reads") {
    std::vector<TraceShape> traces = documents();
    for (TraceShape& shape : traces) shape.probes = 2;
    MadeUpSuite suite(traces);
    const auto check = [&](const std::string& options) {
        const Outcome bench = suite.run("evictlab bench --format json --output r.json " + options);
        INFO(options << '\n' << bench.err);
        CHECK(bench.code <= 1);
        const Outcome report = suite.run("evictlab report --bench r.json");
        INFO(report.err);
        CHECK(report.code == 0);
        CHECK_THAT(report.out, !ContainsSubstring("nan"));
        return report.out;
    };
    const std::string scorers =
        "--suite ./mine --scorers '=recent_attn,knorm,adakv@kvpress(snapkv@kvpress:window=4),random' ";
    for (const char* more : {"", "--measure attention_loss", "--measure predicted_kl", "--retention 1",
                             "--retention 0.001", "--patterns 1", "--by-trace"})
        check(scorers + more);
    for (const char* protocol : {"rescore", "decode"}) // which refuse some scorers
        check(std::string("--suite ./mine --scorers knorm,random --protocol ") + protocol);
    check("--suite micro --patterns 1 --seq-len 16 --layers 1 --scorers h2o@seed");
    // Values whose squares no number holds: no output error is finite.
    for (std::size_t i = 0; i < traces.size(); ++i)
        suite.edit_trace(traces[i], (std::to_string(i) + ".safetensors").c_str(), [](TensorFile& file) {
            for (WrittenTensor& tensor : file.tensors)
                if (tensor.name.ends_with(".v"))
                    tensor.bytes = stored("F32", std::vector<double>(tensor.bytes.size() / 4, 3e38)).bytes;
        });
    check(scorers);
    check(scorers + "--measure attention_loss");
}

TEST_CASE("A scorer that reads kinds of tokens is refused where a trace has none") {
    const MadeUpSuite suite;
    suite.edit_trace(documents()[3], "3.safetensors", [](TensorFile& file) { file.remove("token_type"); });
    CHECK(suite.run("evictlab bench --suite ./mine --scorers knorm").code == 0);
    for (const char* formula : {"=token_type", "=1 + rank:token_type"}) {
        const Outcome outcome = suite.run(std::string("evictlab bench --suite ./mine --scorers '") + formula + "'");
        CHECK(outcome.code == 2);
        CHECK_THAT(outcome.err, ContainsSubstring("token_type") && ContainsSubstring("which suite mine by protocol") &&
                                    ContainsSubstring("some trace of it has no tensor token_type"));
    }
}

TEST_CASE("Each thing that is wrong with a suite is a line of verify") {
    const auto finding = [](const MadeUpSuite& suite, const std::vector<std::string>& parts, std::size_t lines = 1) {
        const Outcome outcome = suite.run("evictlab trace verify mine");
        INFO(outcome.out << outcome.err);
        CHECK(outcome.code == 1);
        CHECK(static_cast<std::size_t>(std::count(outcome.out.begin(), outcome.out.end(), '\n')) == lines);
        for (const std::string& part : parts) CHECK_THAT(outcome.out, ContainsSubstring(part));
    };
    SECTION("a changed file") {
        const MadeUpSuite suite;
        std::string bytes = bytes_of(suite.folder / "2.safetensors");
        bytes.back() = static_cast<char>((bytes.back() + 1) % 4);
        put(suite.folder / "2.safetensors", bytes);
        finding(suite, {"2.safetensors: its SHA-256 is", "fetch or capture the suite again"});
        CHECK_THAT(open_message(suite), ContainsSubstring("its SHA-256 is"));
    }
    SECTION("a missing file") {
        const MadeUpSuite suite;
        fs::remove(suite.folder / "1.safetensors");
        finding(suite, {"1.safetensors: cannot be read, but suite.json lists it", "No such file"}, 2);
        CHECK_THAT(open_message(suite), ContainsSubstring("1.safetensors: cannot be read"));
    }
    SECTION("values that are not finite, in a trace and in the projections") {
        const MadeUpSuite suite;
        suite.edit_trace(documents()[0], "0.safetensors", [](TensorFile& file) {
            file.at("layers.4.v").bytes.replace(0, 4, stored("F32", {INFINITY}).bytes);
        });
        finding(suite, {"0.safetensors: tensor 'layers.4.v': the value at [0, 0, 0] is infinite"});
        TensorFile model;
        for (const char* name : {"layers.1.o_proj", "layers.4.o_proj"})
            model.add(name, {1, 24}, stored("F32", std::vector<double>(24, NAN)));
        put(suite.folder / "model.safetensors", model.bytes());
        rehash_suite(suite.folder);
        finding(suite, {"'layers.1.o_proj': the value at [0, 0] is not a number", "'layers.4.o_proj'"}, 3);
    }
    SECTION("values that are not finite where no measure looks") {
        std::vector<TraceShape> traces = documents();
        for (TraceShape& shape : traces) shape.probes = 2;
        const MadeUpSuite suite(traces);
        suite.edit_trace(traces[2], "2.safetensors", [](TensorFile& file) {
            file.at("layers.1.sensitivity").bytes.replace(2, 2, stored("F16", {NAN}).bytes);
            file.add("notes", {3}, stored("F32", {0, 1, INFINITY}));
        });
        finding(suite,
                {"2.safetensors: tensor 'layers.1.sensitivity': the value at [0, 0, 1] is not a number",
                 "2.safetensors: tensor 'notes': the value at [2] is infinite"},
                2);
    }
    SECTION("a scale that makes stored values infinite") {
        std::vector<TraceShape> traces = documents();
        traces[0].type = "I8";
        const MadeUpSuite suite(traces);
        suite.edit_trace(traces[0], "0.safetensors", [](TensorFile& file) {
            std::string& values = file.at("layers.1.k").bytes;
            values[0] = 127;
            WrittenTensor& scale = file.at("layers.1.k.scale");
            const std::size_t count = scale.shape[0] * scale.shape[1];
            std::vector<double> scales(count, 1);
            scales[0] = 3e38;
            scale.type = "F32";
            scale.bytes = stored("F32", scales).bytes;
        });
        finding(suite, {"0.safetensors: tensor 'layers.1.k': the value at [0, 0, 0] is infinite"});
    }
    SECTION("fields of suite.json that no trace confirms") {
        const MadeUpSuite suite;
        suite.edit([](Json& json) {
            json["weights"] = "others";
            json["num_layers"] = 7;
            json["prompt_len"] = 81;
            json["continuation_len"] = "many";
            json["dtype"] = "f16";
            for (Json& file : json["files"]) file["licence"] = "MIT";
            json["files"][0]["kind"] = "code";
            json["files"][1]["layers"] = {1, 3};
            json["files"][2]["source"] = "somewhere";
            json["files"][3]["licence"] = "GPL";
        });
        finding(suite,
                {"0.safetensors: its files[0].kind is 'prose', but suite.json says 'code'",
                 "1.safetensors: its files[1].layers is 1, 4, but suite.json says 1, 3",
                 "2.safetensors: its files[2].source is 'nowhere', but suite.json says 'somewhere'",
                 "3.safetensors: its files[3].licence is 'MIT', but suite.json says 'GPL'",
                 "its weights is 'made up by a test', but suite.json says 'others'",
                 "its num_layers is 6, but suite.json says 7", "its prompt_len is 80, but suite.json says 81",
                 "continuation_len: expected a whole number",
                 "its dtype is f32 in tensor layers.1.q, but suite.json "
                 "says 'f16'"},
                4 + 5 * 4);
    }
    SECTION("a document in two splits") {
        std::vector<TraceShape> traces = documents();
        traces.back().document = "novel";
        const MadeUpSuite suite(traces);
        finding(suite, {"document 'novel' is in two splits: 0.safetensors (train) and 3.safetensors (test)"});
        CHECK_THAT(open_message(suite), ContainsSubstring("is in two splits"));
    }
    SECTION("64 tokens in two splits, wherever they stand") {
        const MadeUpSuite suite;
        const std::string ids = made_up_trace(documents()[1]).file.at("token_ids").bytes;
        const auto share = [&](std::size_t tokens) {
            suite.edit_trace(documents()[3], "3.safetensors", [&](TensorFile& file) {
                file.at("token_ids").bytes.replace(20 * 4, tokens * 4, ids.substr(7 * 4, tokens * 4));
            });
        };
        share(63);
        CHECK(suite.run("evictlab trace verify mine").code == 0);
        share(64);
        finding(suite,
                {"3.safetensors: tokens 20 to 83 are also tokens 7 to 70 of 1.safetensors, which is in split train, "
                 "not test"});
    }
    SECTION("the same tokens twice in one split are fine") {
        const MadeUpSuite suite;
        const std::string ids = made_up_trace(documents()[1]).file.at("token_ids").bytes;
        suite.edit_trace(documents()[0], "0.safetensors", [&](TensorFile& file) { file.at("token_ids").bytes = ids; });
        CHECK(suite.run("evictlab trace verify mine").code == 0);
    }
    SECTION("suite.json and trace say different things") {
        const MadeUpSuite suite;
        suite.edit([](Json& json) {
            json["files"][0]["split"] = "test";
            json["files"][1]["document"] = "another";
        });
        finding(suite,
                {"its split is 'train', but suite.json says 'test'",
                 "its document is 'parser', but suite.json says 'another'"},
                2);
    }
    SECTION("projections that do not fit") {
        const MadeUpSuite suite;
        TensorFile model;
        model.add("layers.1.o_proj", {2, 12}, stored("F32", std::vector<double>(24, 1)));
        put(suite.folder / "model.safetensors", model.bytes());
        rehash_suite(suite.folder);
        finding(suite, {"'layers.1.o_proj' takes 12 values, but the 4 query heads of 0.safetensors give 6 each"}, 4);
    }
}

TEST_CASE("Each defect of suite.json names its field") {
    const auto message = [](auto change) {
        const MadeUpSuite suite;
        suite.edit(change);
        const std::string text = open_message(suite);
        CHECK_THAT(text, ContainsSubstring("suite.json: "));
        return text;
    };
    CHECK_THAT(message([](Json& j) { j["format"] = "evictlab-suite/2"; }), ContainsSubstring("reads evictlab-suite/1"));
    CHECK_THAT(message([](Json& j) { j.erase("model"); }), ContainsSubstring("the field \"model\" is missing"));
    CHECK_THAT(message([](Json& j) { j["name"] = ""; }), ContainsSubstring("name: is empty"));
    CHECK_THAT(message([](Json& j) { j["files"] = 3; }), ContainsSubstring("files: expected a list, found 3"));
    CHECK_THAT(message([](Json& j) { j["files"] = Json::array(); }), ContainsSubstring("files: is empty"));
    CHECK_THAT(message([](Json& j) { j["files"][1] = 3; }), ContainsSubstring("files[1]: expected an object"));
    CHECK_THAT(message([](Json& j) { j["files"][1]["split"] = "trial"; }),
               ContainsSubstring("files[1].split: is 'trial', but must be train, valid, test"));
    CHECK_THAT(message([](Json& j) { j["files"][1]["split"] = ""; }), ContainsSubstring("files[1].split: is empty"));
    CHECK_THAT(message([](Json& j) { j["files"][1]["document"] = 7; }),
               ContainsSubstring("files[1].document: expected"));
    CHECK_THAT(message([](Json& j) { j["files"][1]["sha256"] = "AB"; }), ContainsSubstring("64 digits"));
    CHECK_THAT(message([](Json& j) { j["files"][1]["file"] = "../0.safetensors"; }),
               ContainsSubstring("files[1].file: is '../0.safetensors', but must lie in the suite's folder"));
    CHECK_THAT(message([](Json& j) { j["files"][1]["file"] = "/etc/passwd"; }), ContainsSubstring("must lie in"));
    CHECK_THAT(message([](Json& j) { j["files"][1]["file"] = "./0.safetensors"; }),
               ContainsSubstring("in the list twice"));
    CHECK_THAT(message([](Json& j) {
                   j["model_file"] = {{"file", "model.safetensors"}};
               }),
               ContainsSubstring("model_file: the field \"sha256\" is missing"));
    CHECK_THAT(message([](Json& j) { j = Json::array(); }), ContainsSubstring("expected an object"));
    const MadeUpSuite suite;
    suite.edit([](Json& j) { j["made_by"] = {{"tool", 1}}; });
    CHECK(open_message(suite).empty());
    put(suite.folder / "suite.json", std::string(100000, '['));
    CHECK_THAT(open_message(suite), ContainsSubstring("nests deeper than 16 levels"));
    put(suite.folder / "suite.json", "{");
    CHECK_THAT(open_message(suite), ContainsSubstring("not JSON"));
}
