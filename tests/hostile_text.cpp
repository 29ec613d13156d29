// Text from files, plugins and names of files, as it comes out of every command: escaped in terminals, Markdown, JSON
// and plots, a word in commands that are printed, and never a command itself.
// SPDX-License-Identifier: MIT
#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/text/shown.hpp"
#include "report/bench_json.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/made_benches.hpp"
#include "tests/support/process.hpp"
#include "tests/support/temporary_folder.hpp"
#include "tests/support/trace_writer.hpp"

using namespace evictlab;
using namespace evictlab::test;
namespace fs = std::filesystem;
using nlohmann::ordered_json;

namespace {

/// What a terminal, a shell, Markdown, HTML and gnuplot would each take for more than text.
const std::string odd =
    "\x1b[31m\xc2\x9b"
    "1m'`\"$(touch ran)`touch ran`|<b>[x](http://e.org)\n!touch ran\n\xe2\x80\xae\xe2\x80\x8b\xe2\x80\xa8\\";

struct Folder {
    TemporaryFolder folder;

    Outcome run(const std::string& command) const { return shell(command, folder.path.string()); }
    fs::path operator/(const char* name) const { return folder / name; }
    bool ran() const { return fs::exists(folder / "ran"); }
};

void check_plain(const Outcome& outcome) {
    INFO(text::lines(outcome.out + outcome.err));
    CHECK(text::is_plain(outcome.out, true));
    CHECK(text::is_plain(outcome.err, true));
    CHECK(outcome.code < 128);
}

ordered_json odd_bench() {
    Bench bench = report::made_bench_with_budgets();
    bench.suite = odd;
    bench.suite_hash = odd;
    bench.suite_parameters_json = ordered_json{{"name", odd}, {"folder", odd}, {"captured", 1}, {"note", odd}}.dump();
    for (auto& split : bench.traces)
        for (TraceLabel& trace : split) trace = {trace.name + odd, odd};
    for (ScorecardRow& row : bench.rows) {
        if (row.kind == RowKind::bound || row.scorer == "random") continue;
        row.scorer += odd;
        row.formula = odd;
    }
    bench.failures.emplace_back(odd, "score", odd);
    return report::to_json(bench);
}

} // namespace

TEST_CASE("a bench result runs no command: its protocol is one of three, and a plot's script has all else in quotes") {
    const Folder files;
    ordered_json bench = odd_bench();
    bench["protocol"] = "rescore\n!touch ran\n#";
    put(files / "bench.json", bench.dump());
    const Outcome refused = files.run("evictlab report --bench bench.json --output l.md --plots plots");
    CHECK(refused.code == 1);
    CHECK_THAT(refused.err,
               ContainsSubstring("bench.json: protocol: expected \"rescore\" or \"prefill\" or \"decode\", "
                                 "found \"rescore\\n!touch ran\\n#\""));
    check_plain(refused);
    CHECK_FALSE(fs::exists(files / "l.md"));
    CHECK_FALSE(files.ran());
}

TEST_CASE("a leaderboard of odd names is plain text, and so are its plots and commands") {
    const Folder files;
    put(files / "bench.json", odd_bench().dump());
    for (const char* more : {"--output l.md --plots plots", "--output l.json", "", "--brief"}) {
        const Outcome outcome = files.run(std::string("evictlab report --bench bench.json ") + more);
        check_plain(outcome);
        CHECK(outcome.code == 0);
    }
    CHECK_FALSE(files.ran());
    CHECK(text::is_plain(bytes_of(files / "l.md"), true));
    CHECK_THAT(bytes_of(files / "l.md"), !ContainsSubstring("\n!touch"));
    const std::string written = bytes_of(files / "l.json");
    CHECK(text::is_plain(written, true));
    const ordered_json leaderboard = ordered_json::parse(written);
    const ordered_json& row = leaderboard["suites"][0]["rows"][0];
    CHECK(leaderboard["suites"][0]["suite"]["name"] == odd); // JSON keeps the text itself
    if (fs::exists(files / "plots"))
        for (const auto& plot : fs::directory_iterator(files / "plots")) {
            std::string drawn = bytes_of(plot.path()); // gnuplot sets some lines in by a tab
            std::ranges::replace(drawn, '\t', ' ');
            CHECK(text::is_plain(drawn, true));
            CHECK_THAT(bytes_of(plot.path()), !ContainsSubstring("<b>"));
            CHECK(text::is_plain(plot.path().filename().string()));
        }
    // The command is to be pasted: evictlab is a function here that says what it was given.
    put(files / "pasted", "evictlab() { printf '%s\\0' \"$@\"; }\n" + row["command"].get<std::string>() + "\n");
    const Outcome pasted = files.run("bash ./pasted");
    CHECK(pasted.code == 0);
    CHECK_THAT(pasted.out, ContainsSubstring(odd));
    CHECK_FALSE(files.ran());
}

TEST_CASE("a plugin's words are shown as text") {
    const Folder files;
    const std::string words = " --plugin-dir '" EVICTLAB_TEST_PLUGINS "/words'";
    for (const std::string command :
         {"plugins", "plugins describe odd_words",
          "bench --suite micro --patterns 1 --seq-len 16 --layers 1 --scorers "
          "odd_words,odd_words:odd=2,random",
          "bench --suite micro --patterns 1 --seq-len 16 --layers 1 --scorers odd_words,random --format json",
          "check '" EVICTLAB_TEST_PLUGINS "/words/odd_words.so'"}) {
        const Outcome outcome = files.run("evictlab " + command + (command.starts_with("check") ? "" : words));
        INFO(command);
        check_plain(outcome);
        CHECK_THAT(outcome.out + outcome.err, ContainsSubstring("odd_words"));
    }
    const Outcome described = files.run("evictlab plugins describe odd_words" + words);
    CHECK(described.code == 0);
    CHECK_THAT(described.out, ContainsSubstring("description \\x1b[2J\\x1b]0;title\\x07\\u009b1m|`<b>[x]"));
}

TEST_CASE("a suite's words are shown as text") {
    const Folder files;
    TraceShape shape;
    shape.document = odd;
    shape.kind = odd;
    shape.split = "test";
    fs::create_directory(files / "suite");
    write_suite(files / "suite", {shape});
    ordered_json suite = ordered_json::parse(bytes_of(files / "suite" / "suite.json"));
    suite["name"] = odd;
    suite["licence"] = odd;
    suite["weights"] = odd;
    put(files / "suite/suite.json", suite.dump());
    for (const char* command :
         {"trace info suite/0.safetensors", "trace verify ./suite", "bench --suite ./suite --scorers random,knorm",
          "bench --suite ./suite --scorers random "
          "--format json --output bench.json",
          "report --bench bench.json", "bench --suite ./suite --scorers random --format csv"}) {
        const Outcome outcome = files.run(std::string("evictlab ") + command);
        INFO(command);
        check_plain(outcome);
        const bool silent = outcome.out.empty() && outcome.err.empty();
        CHECK((!silent || std::string(command).find("--output") != std::string::npos));
    }
    CHECK_FALSE(files.ran());
}

TEST_CASE("odd names of files, arguments and formulas are told as text") {
    const Folder files;
    const std::string name = "odd\x1b[31m\nname\xff";
    put(files.folder.path / (name + ".formula"), odd);
    put(files.folder.path / (name + ".json"), "{\"schema\": \"" + std::string(3000, 'x') + "\"}");
    const std::string file = "\"$(printf 'odd\\033[31m\\nname\\377')\"";
    for (const std::string& command : std::vector<std::string>{
             "formula check " + file + ".formula", "bench --suite micro --scorers " + file + ".formula",
             "report --bench " + file + ".json", "report --bench " + file + "nothing", "status " + file + ".json",
             "log " + file + ".json", "export " + file + ".json --to formula", "trace info " + file + ".json",
             "trace verify " + file, "bench --suite " + file, "bench --suite micro --scorers " + file,
             "formula check " + file, "bench --suite micro --protocol " + file, "bench --suite micro --format " + file,
             "bench --" + file, file, "plugins describe " + file, "evolve --suite micro --start " + file + " --state s",
             "check " + file + ".so"}) {
        const Outcome outcome = files.run("evictlab " + command);
        INFO(text::line(command));
        check_plain(outcome);
        CHECK(outcome.code != 0);
        CHECK(outcome.err.starts_with("evictlab: "));
        CHECK(outcome.err.size() < 4'000);
    }
}
