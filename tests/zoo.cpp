// The zoo: plugins that do their worst, each from a file in tests/zoo. The verdict on each is right, the host lives, no
// other scorer's figures change, and nothing is left behind.
// SPDX-License-Identifier: MIT
#include <fmt/ranges.h>
#include <sys/wait.h>

#include <algorithm>
#include <csignal>
#include <future>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "framework/bench/scorecard.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/isolated.hpp"
#include "tests/support/process.hpp"
#include "tests/support/small_runs.hpp"

using namespace evictlab;
using namespace evictlab::test;
namespace fs = std::filesystem;

namespace {

const fs::path zoo = EVICTLAB_ZOO;
const bool sanitized = !std::string(EVICTLAB_SANITIZE).empty(); // finds some animals first, in words of its own

const std::set<std::string> hanging{"loop_in_load", "loop_in_create", "loop_in_score", "loop_in_destroy",
                                    "late_each_time"};
const std::set<std::string> guests{"clings"};                           // of tests of their own
const std::set<std::string> hungry{"allocates", "leaks_new", "unmaps"}; // held by limits that sanitizers do not allow

std::vector<fs::path> animals_in(const fs::path& folder) {
    std::vector<fs::path> files;
    for (const auto& entry : fs::directory_iterator(folder))
        if (entry.path().extension() == ".so") files.push_back(entry.path());
    std::ranges::sort(files);
    return files;
}

bool filtered() {
    const auto plugin = isolating()(zoo / "throws.so");
    return plugin->place().find("system calls filtered") != std::string_view::npos;
}

using Verdicts = std::map<std::string, PluginError>; // by the animal's name

struct Visit {
    Bench bench;
    Verdicts verdicts;
};

/// A bench of these animals among two scorers that are in this process.
Visit visit(const std::vector<fs::path>& animals, double timeout) {
    Visit visit;
    PluginHost host;
    std::vector<Scorer> scorers{make_scorer("h2o@seed", host)};
    const auto load = isolating(worker_settings(timeout));
    for (const fs::path& file : animals) {
        try {
            const auto plugin = load(file);
            scorers.push_back(Scorer::from_plugin(plugin->id(), plugin, plugin->default_values()));
        } catch (const PluginError& error) {
            visit.verdicts.emplace(file.stem().string(), error);
        }
    }
    scorers.push_back(make_scorer("=cumulative_attn", host));
    visit.bench = run_bench(small_micro(), scorers);
    for (const PluginError& failure : visit.bench.failures)
        visit.verdicts.emplace(failure.plugin.substr(0, failure.plugin.find(' ')), failure);
    return visit;
}

/// All animals in one run, but for those that never come back, each of which has a run to itself at the same time.
const Visit& whole_zoo() {
    static const Visit all = [] {
        std::vector<fs::path> files = animals_in(zoo);
        if (filtered()) std::ranges::copy(animals_in(zoo / "filtered"), std::back_inserter(files));
        std::vector<std::future<Visit>> waiting;
        for (const std::string& name : hanging)
            waiting.push_back(std::async(std::launch::async, [name] { return visit({zoo / (name + ".so")}, 1); }));
        std::erase_if(files, [](const fs::path& file) {
            const std::string name = file.stem().string();
            return hanging.contains(name) || guests.contains(name) || (sanitized && hungry.contains(name));
        });
        Visit rest = visit(files, 60);
        for (auto& each : waiting) rest.verdicts.merge(each.get().verdicts);
        return rest;
    }();
    return all;
}

const ScorecardRow* row_of(const Bench& bench, const std::string& scorer) {
    const auto at = std::ranges::find(bench.rows, scorer, &ScorecardRow::scorer);
    return at == bench.rows.end() ? nullptr : &*at;
}

void check_same_figures(const ScorecardRow* a, const ScorecardRow* b) {
    REQUIRE(a);
    REQUIRE(b);
    for (const Split split : all_splits) {
        const auto s = static_cast<std::size_t>(split);
        if (a->splits[s].by_trace.empty()) continue; // whose means are NaN
        CHECK(a->splits[s].by_trace == b->splits[s].by_trace);
        CHECK(a->splits[s].by_retention == b->splits[s].by_retention);
    }
}

} // namespace

TEST_CASE("each animal that breaks is told by its name, phase and cause") {
    const auto [name, phase, cause] = GENERATE(table<std::string, std::string, std::string>({
        {"null_dereference", "score", "its process was killed by SIGSEGV: a null pointer"},
        {"stack_overflow", "score", "its process was killed by SIGSEGV: its stack overflowed"},
        {"loop_in_load", "load", "no answer within 1 s (--plugin-timeout)"},
        {"loop_in_create", "create", "no answer within 1 s (--plugin-timeout)"},
        {"loop_in_score", "score", "no answer within 1 s (--plugin-timeout)"},
        {"loop_in_destroy", "destroy", "no answer within 1 s (--plugin-timeout)"},
        {"late_each_time", "score", "no answer within 1 s (--plugin-timeout)"},
        {"leaks_threads", "score", "has too many threads: a plugin may have 256"},
        {"kills_itself", "score", "SIGKILL"},
        {"stops_itself", "score", "SIGSTOP"},
        {"exits", "score", "ended its process with exit code 7"},
        {"aborts", "score", "its process was killed by SIGABRT: aborts.c: this should never happen"},
        {"throws", "score", "layer 0: an exception escaped: caught me"},
        {"double_free", "score", "its process was killed by SIGABRT: free(): double free detected in tcache 2"},
        {"writes_behind", "score", "wrote outside its buffer, behind its scores (SIGSEGV in a guard page)"},
        {"writes_before", "score", "layer 0: wrote outside its buffer, before its scores"},
        {"writes_columns", "score", "wrote into its columns, which are read-only (SIGSEGV)"},
        {"returns_early", "score", "layer 0: left scores unwritten, the first at head 0, position 6"},
        {"nan_scores", "score", "the score is NaN at layer 0, head 0, position 2 (trace micro/train/0, query 6)"},
        {"random_scores", "score",
         "layer 0: it says that it is deterministic, but two calls on one batch differ at head 0, position 0"},
        {"allocates", "score", "ran into the memory limit of 256 MiB (--plugin-memory; SIGSEGV)"},
        {"leaks_new", "score", "ran into the memory limit of 256 MiB (--plugin-memory)"},
        {"unmaps", "score", "was held"},
        {"reads_on", "score", "read past the end of its columns (SIGBUS)"},
        {"scribbles", "score", "wrote over what it shares with this program"},
        {"rounds_upward", "score", "left the floating-point mode changed"},
        {"changes_locale", "create", "changed the process's locale to C.UTF-8"},
        {"wrong_abi", "load", "built for ABI 9.4, but this program has ABI 1.4"},
    }));
    INFO(name);
    if (sanitized && hungry.contains(name)) return;
    if (name == "double_free" && std::string(EVICTLAB_SANITIZE) == "thread") return; // whose allocator does not look
    const Verdicts& verdicts = whole_zoo().verdicts;
    REQUIRE(verdicts.contains(name));
    const PluginError& verdict = verdicts.at(name);
    CHECK(verdict.phase == phase);
    // A sanitizer looks at signals, and at what leaks where a process exits, and ends it with a code of its own.
    const bool in_other_words = sanitized && (cause.find("SIG") != std::string::npos || name == "exits");
    if (!in_other_words) CHECK_THAT(verdict.cause, ContainsSubstring(cause));
    CHECK_THAT(verdict.plugin, ContainsSubstring(name));
    CHECK(row_of(whole_zoo().bench, name) == nullptr);
}

TEST_CASE("an animal whose habit reaches nobody keeps its row, and the figures are those of its rule") {
    for (const char* name : {"closes_descriptors", "lingering_thread", "lively", "prints_megabytes"}) {
        INFO(name);
        CHECK_FALSE(whole_zoo().verdicts.contains(name));
        check_same_figures(row_of(whole_zoo().bench, name), row_of(whole_zoo().bench, "=cumulative_attn"));
    }
}

TEST_CASE("where system calls are filtered, an animal makes no file, finds no terminal and starts no process") {
    if (!filtered()) return; // docs/reliability.md says so
    if (!sanitized)
        CHECK(whole_zoo().verdicts.at("fork_bomb").cause ==
              "asked the system for `clone`, which a plugin may not (SIGSYS) (trace micro/train/0)");
#if defined(__x86_64__)
    if (!sanitized) CHECK_THAT(whole_zoo().verdicts.at("old_numbers").cause, ContainsSubstring("killed by SIGSYS"));
#endif
    for (const char* name : {"terminal", "writes_files"}) {
        INFO(name);
        const auto verdict = whole_zoo().verdicts.find(name);
        if (verdict != whole_zoo().verdicts.end()) FAIL(verdict->second.what());
        check_same_figures(row_of(whole_zoo().bench, name), row_of(whole_zoo().bench, "=cumulative_attn"));
    }
    CHECK_FALSE(fs::exists("zoo-was-here"));
}

TEST_CASE("the figures of the other scorers are those of a run without the zoo, bit for bit") {
    const Bench alone = visit({}, 60).bench;
    CHECK(alone.failures.empty());
    for (const ScorecardRow& row : alone.rows) {
        INFO(row.scorer);
        check_same_figures(&row, row_of(whole_zoo().bench, row.scorer));
    }
}

TEST_CASE("the whole zoo leaves no process, no descriptor and no shared memory behind") {
    const auto descriptors = [] {
        return std::distance(fs::directory_iterator("/proc/self/fd"), fs::directory_iterator{});
    };
    const auto before = descriptors();
    visit({zoo / "fork_bomb.so", zoo / "lingering_thread.so", zoo / "null_dereference.so", zoo / "exits.so"}, 60);
    CHECK(no_worker_left(::getpid()));
    CHECK(descriptors() == before);
    CHECK_THAT(bytes_of("/proc/self/maps"), !ContainsSubstring("memfd:evictlab"));
}

TEST_CASE("a text file and a library that was cut short are refused before anything runs") {
    const TemporaryFolder folder;
    put(folder / "text.so", "I am a scorer");
    fs::copy_file(zoo / "exits.so", folder / "short.so");
    fs::resize_file(folder / "short.so", fs::file_size(folder / "short.so") / 2);
    const Verdicts verdicts = visit(animals_in(folder.path), 60).verdicts;
    CHECK(verdicts.at("text").phase == "load");
    CHECK(verdicts.at("text").cause == "not a shared library");
    CHECK(verdicts.at("short").phase == "load");
    CHECK_THAT(verdicts.at("short").cause, ContainsSubstring("truncated"));
}

TEST_CASE("bench tells what broke, keeps its output clean, and exits with 1") {
    const std::string animals = fmt::format("{0}/exits.so,{0}/prints_megabytes.so,{0}/wrong_abi.so", zoo.string());
    const Outcome outcome = shell("evictlab bench --suite micro --patterns 1 --layers 1 --seq-len 16 --format json "
                                  "--plugin-timeout 60 --scorers h2o@seed," +
                                  animals);
    CHECK(outcome.code == 1);
    std::set<std::string> rows;
    const auto json = nlohmann::json::parse(outcome.out);
    for (const auto& row : json.at("rows")) rows.insert(row.at("scorer"));
    CHECK(rows == std::set<std::string>{"h2o@seed", "prints_megabytes", "random@seed", "oracle"});
    CHECK_THAT(outcome.err, ContainsSubstring("plugin exits (" + (zoo / "exits.so").string() +
                                              "): score: ended its process with exit code " + (sanitized ? "" : "7")));
    CHECK_THAT(outcome.err, ContainsSubstring("wrong_abi.so: load: built for ABI 9.4"));
    CHECK_THAT(outcome.err, ContainsSubstring("2 plugins broke and have no row; the other 4 rows stand"));
    CHECK_THAT(outcome.err, !ContainsSubstring("nobody asked for"));
}

TEST_CASE("a plugin may be isolated or not, as is asked, and wrong limits are refused") {
    const std::string plugin = (zoo / "throws.so").string();
    CHECK_THAT(shell("evictlab plugins describe " + plugin).out, ContainsSubstring("in a process of its own"));
    CHECK_THAT(shell("evictlab plugins describe --no-isolate " + plugin).out, ContainsSubstring("in this process"));
    CHECK_THAT(shell("evictlab plugins describe h2o").out, ContainsSubstring("in this process"));
    CHECK_THAT(shell("evictlab plugins describe --isolate h2o").out, ContainsSubstring("in a process of its own"));
    CHECK(shell("evictlab plugins --isolate --no-isolate").code == 2);
    CHECK_THAT(shell("evictlab plugins --plugin-timeout 0").err, ContainsSubstring("--plugin-timeout"));
    CHECK_THAT(shell("evictlab plugins --plugin-memory lots").err, ContainsSubstring("--plugin-memory"));
}

TEST_CASE("a plugin that is late at every call costs about one time-out, whatever it tells of its calls") {
    const auto began = std::chrono::steady_clock::now();
    CHECK(visit({zoo / "late_each_time.so"}, 1).verdicts.at("late_each_time").phase == "score");
    CHECK(std::chrono::steady_clock::now() - began < std::chrono::seconds(150)); // a time-out a call would be 300
}

TEST_CASE("a plugin whose calls are slow, but each within the time-out, keeps its row and its figures") {
    const Visit slow = visit({zoo / "takes_its_time.so"}, 1);
    CHECK(slow.verdicts.empty());
    check_same_figures(row_of(slow.bench, "takes_its_time"), row_of(slow.bench, "=cumulative_attn"));
}

TEST_CASE("listing plugins survives those that break when they are loaded") {
    const TemporaryFolder folder;
    fs::copy_file(zoo / "loop_in_load.so", folder / "loop_in_load.so");
    const Outcome outcome =
        shell("evictlab plugins list --plugin-timeout 1 --plugin-dir '" + folder.path.string() + "'");
    CHECK(outcome.code == 1);
    CHECK_THAT(outcome.err, ContainsSubstring("loop_in_load.so: load: no answer within 1 s"));
    CHECK_THAT(outcome.out, ContainsSubstring("h2o"));
}

TEST_CASE("a candidate that breaks is a rejected candidate with the reason, for one thread and for many") {
    const TemporaryFolder folder;
    std::vector<std::string> saved;
    for (const std::string threads : {"1", "2"}) {
        const fs::path state = folder.path / ("run-" + threads + ".json");
        const Outcome outcome =
            shell("evictlab evolve --tune " + (zoo / "moody.so").string() +
                  " --suite micro --patterns 1 --layers 1 --seq-len 24 --population 8 --generations 40 "
                  "--plugin-timeout 60 --quiet --threads " +
                  threads + " --state " + state.string());
        INFO(outcome.err);
        REQUIRE(outcome.code == 0);
        std::map<std::string, std::string> reasons;
        for (const auto& candidate : candidates_of(state)) reasons[candidate.genome.text()] = candidate.reason;
        INFO(fmt::format("{}", fmt::join(reasons, "; ")));
        if (!sanitized) CHECK_THAT(reasons["moody:mood=1"], ContainsSubstring("its process was killed by SIGABRT"));
        CHECK_THAT(reasons["moody:mood=3"], ContainsSubstring("ended its process with exit code 3"));
        CHECK_THAT(reasons["moody:mood=5"], ContainsSubstring("in no mood"));
        CHECK_THAT(reasons["moody:mood=7"], ContainsSubstring("the score is NaN"));
        saved.push_back(saved_run(state, {"command"}));
    }
    CHECK(saved[0] == saved[1]);
}

TEST_CASE("a host that is killed takes its workers with it") {
    const pid_t host = ::fork(); // no thread of this process is in a plugin now
    REQUIRE(host >= 0);
    if (host == 0) {
        const std::string animal = (zoo / "loop_in_score.so").string();
        ::execl(EVICTLAB_BINARY, "evictlab", "bench", "--suite", "micro", "--plugin-timeout", "600", "--scorers",
                animal.c_str(), static_cast<char*>(nullptr));
        ::_exit(127);
    }
    for (int look = 0; look < 6000 && count_workers(host) == 0; ++look) ::usleep(10'000);
    CHECK(count_workers(host) > 0);
    ::kill(host, SIGKILL);
    ::waitpid(host, nullptr, 0);
    CHECK(no_worker_left(host));
}

TEST_CASE("a stop from outside ends a bench although a plugin hangs") {
    std::atomic<bool> stop{false};
    isolation::Settings settings = worker_settings(600);
    settings.stop = &stop;
    const auto plugin = isolating(settings)(zoo / "loop_in_score.so");
    const std::vector<Scorer> scorers{Scorer::from_plugin("loop_in_score", plugin, {})};
    std::thread stopper([&] {
        ::usleep(200'000);
        stop = true;
    });
    BenchOptions options;
    options.stop = &stop;
    CHECK_THROWS_AS(run_bench(small_micro(), scorers, options), Interrupted);
    stopper.join();
}

TEST_CASE("where the first Ctrl-C cannot end it, because a plugin hangs in this process, the second does at once") {
    if (std::string(EVICTLAB_SANITIZE) == "thread") return; // which delivers no signal to a loop that calls nothing
    const TemporaryFolder folder;
    const Outcome outcome = shell(
        "'" EVICTLAB_BINARY "' bench --suite micro --no-isolate --scorers '" + (zoo / "loop_in_score.so").string() +
            "' 2>said & pid=$!; until grep -q '^in score' said; do kill -0 $pid || exit 9; sleep 0.02; done; "
            "kill -INT $pid; pending() { sed -n 's/^ShdPnd:[[:space:]]*//p' /proc/$pid/status; }; "
            "until [ $((0x$(pending) & 2)) = 0 ]; do sleep 0.02; done; "
            "kill -0 $pid && echo still there; kill -INT $pid; wait $pid",
        folder.path.string());
    CHECK(outcome.out == "still there\n");
    CHECK(outcome.code == 130);
}
