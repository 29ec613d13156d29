// What happens outside while a plugin is used: its file is rebuilt, moved, cut short or removed, its processes are
// killed or stopped. No scorer is blamed for it, and no figure of a run changes. SPDX-License-Identifier: MIT
#include <fmt/format.h>
#include <sys/wait.h>

#include <atomic>
#include <csignal>
#include <thread>

#include "evolution/run.hpp"
#include "framework/fitness/parameter_fitness.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/isolated.hpp"
#include "tests/support/process.hpp"
#include "tests/support/small_runs.hpp"

using namespace evictlab;
using namespace evictlab::test;
using evolution::RunHooks;
using evolution::RunProgress;
using evolution::RunResult;
using evolution::RunSetup;
namespace fs = std::filesystem;

namespace {

const fs::path test_plugins = EVICTLAB_TEST_PLUGINS;
const std::vector<double> retentions{0.25, 0.5};

/// A run that tunes a plugin in a folder of its own.
struct Tuning {
    TemporaryFolder folder;
    fs::path plugin = folder / "tunable.so", state = folder / "run.json";
    PluginHost::Loader load = isolating();

    Tuning() { fs::copy_file(test_plugins / "tuned" / "tunable.so", plugin); }

    /// `meanwhile`: told of each saved generation, before the next begins.
    RunResult run(std::uint32_t generations, const std::function<void(std::uint32_t)>& meanwhile = {}) {
        const Suite suite = small_micro();
        const auto loaded = load(plugin);
        RunSetup setup;
        setup.config.space =
            std::make_shared<const ParameterSpace>(Scorer::from_plugin(loaded->id(), loaded, loaded->default_values()));
        setup.config.start = setup.config.space->text(setup.config.space->start());
        setup.config.tunes = true;
        setup.config.seed = 5;
        setup.config.population = 6;
        setup.config.tuned = 1;
        setup.config.tuning_evaluations = 6;
        setup.identity = identity_on(suite);
        setup.identity.plugins["tunable"] = loaded->file_sha256();
        setup.limits.generations = generations;
        const ParameterFitness fitness(suite, *setup.config.space, retentions, "", nullptr);
        auto store = test::store_in(state);
        RunHooks hooks;
        hooks.on_generation = [&](const RunProgress& progress) {
            if (meanwhile) meanwhile(progress.generation);
        };
        return run_evolution(setup, fitness, store, hooks);
    }
    std::string outcome() const { return saved_run(state, {"limits"}); }
    bool rejected_any_for_its_process() const {
        return std::ranges::any_of(candidates_of(state), [](const evolution::Candidate& candidate) {
            return candidate.reason.find("cannot be measured") != std::string::npos;
        });
    }
};

const std::string& left_alone() {
    static const std::string outcome = [] {
        Tuning tuning;
        tuning.run(4);
        return tuning.outcome();
    }();
    return outcome;
}

/// The children of this process or another one, by what the kernel lists of each of its threads, where it does: it is
/// quicker than a look at all processes.
std::vector<pid_t> children_of(pid_t parent) {
    if (!fs::exists("/proc/thread-self/children")) return processes_of_workers(parent);
    std::vector<pid_t> children;
    std::error_code error;
    for (const auto& task : fs::directory_iterator(fmt::format("/proc/{}/task", parent), error)) {
        std::ifstream file(task.path() / "children");
        for (pid_t child = 0; file >> child;) children.push_back(child);
    }
    return children;
}

/// Sends the signal to every child of a process, over and over, from another thread.
class Persecutor {
public:
    Persecutor(pid_t parent, int signal)
        : thread_([this, parent, signal] {
              while (!ends_)
                  for (const pid_t child : children_of(parent)) ::kill(child, signal);
          }) {}
    ~Persecutor() {
        ends_ = true;
        thread_.join();
    }

private:
    std::atomic<bool> ends_{false};
    std::thread thread_;
};

} // namespace

TEST_CASE("a library that is rebuilt, replaced, cut short or removed while a run tunes it changes nothing") {
    const int event = GENERATE(0, 1, 2, 3);
    const bool isolated = GENERATE(true, false);
    INFO(event << isolated);
    Tuning tuning;
    if (!isolated) tuning.load = Plugin::load;
    const fs::path other = test_plugins / "rebuilt" / "tunable.so";
    const RunResult result = tuning.run(4, [&](std::uint32_t generation) {
        if (generation != 1) return;
        if (event == 0) fs::copy_file(other, tuning.plugin, fs::copy_options::overwrite_existing);
        if (event == 1) {
            fs::copy_file(other, tuning.folder / "new.so");
            fs::rename(tuning.folder / "new.so", tuning.plugin);
        }
        if (event == 2) fs::resize_file(tuning.plugin, 4096);
        if (event == 3) fs::remove(tuning.plugin);
    });
    CHECK(result.hindered.empty());
    CHECK(tuning.outcome() == left_alone());
}

TEST_CASE("a run goes on with another build only where it is told to, and says what differs") {
    Tuning tuning;
    tuning.run(1);
    fs::copy_file(test_plugins / "rebuilt" / "tunable.so", tuning.plugin, fs::copy_options::overwrite_existing);
    CHECK_THROWS_WITH(tuning.run(4), ContainsSubstring("plugins/tunable is"));
    fs::copy_file(test_plugins / "tuned" / "tunable.so", tuning.plugin, fs::copy_options::overwrite_existing);
    tuning.run(4);
    CHECK(tuning.outcome() == left_alone());
}

TEST_CASE("processes that are killed or stopped now and then cost a run nothing") {
    const int signal = GENERATE(SIGKILL, SIGTERM, SIGSEGV, SIGSTOP);
    INFO(signal);
    Tuning tuning;
    const RunResult result = tuning.run(4, [&](std::uint32_t) {
        for (const pid_t worker : processes_of_workers(::getpid())) ::kill(worker, signal);
    });
    CHECK(result.hindered.empty());
    CHECK(tuning.outcome() == left_alone());
    tuning.load = nullptr; // with the workers that wait for more
    CHECK(no_worker_left(::getpid()));
}

TEST_CASE("where somebody kills or stops every process, a run stops, blames no candidate, and goes on later") {
    const int signal = GENERATE(SIGKILL, SIGSTOP);
    INFO(signal);
    Tuning tuning;
    std::optional<Persecutor> persecutor;
    const RunResult hindered = tuning.run(100'000, [&](std::uint32_t generation) {
        if (generation == 1) persecutor.emplace(::getpid(), signal);
    });
    persecutor.reset();
    CHECK_THAT(hindered.hindered, ContainsSubstring("tunable (") && ContainsSubstring("for reasons outside of it"));
    CHECK(hindered.state.stop_reason == "plugin: no answer, for reasons outside of it");
    CHECK_FALSE(tuning.rejected_any_for_its_process());
    const std::uint32_t generations = hindered.state.generation + 2;
    CHECK(tuning.run(generations).hindered.empty());
    Tuning alone;
    alone.run(generations);
    CHECK(tuning.outcome() == alone.outcome());
}

TEST_CASE("where no process can be started any more, a run stops likewise") {
    Tuning tuning;
    isolation::Settings settings = worker_settings();
    settings.program = tuning.folder / "worker";
    fs::copy_file(EVICTLAB_WORKER, settings.program);
    tuning.load = isolating(settings);
    const RunResult hindered = tuning.run(4, [&](std::uint32_t generation) {
        if (generation == 2) fs::permissions(settings.program, fs::perms::owner_read);
    });
    CHECK_THAT(hindered.hindered, ContainsSubstring("cannot start a process for a plugin"));
    CHECK(hindered.state.generation == 2);
    CHECK_FALSE(tuning.rejected_any_for_its_process());
    fs::permissions(settings.program, fs::perms::owner_all);
    tuning.run(4);
    CHECK(tuning.outcome() == left_alone());
}

TEST_CASE("a bench says of a row that could not be measured that this is not the plugin's doing; the others stand") {
    const auto plugin = isolating()(test_plugins / "tuned" / "tunable.so");
    PluginHost host;
    const std::vector<Scorer> scorers{make_scorer("h2o@seed", host),
                                      Scorer::from_plugin(plugin->id(), plugin, plugin->default_values())};
    const Bench usual = run_bench(small_micro(), scorers);
    CHECK(usual.failures.empty());
    const Persecutor persecutor(::getpid(), SIGKILL);
    for (int attempt = 0; attempt < 1000; ++attempt) { // a bench is short, and may come through
        const Bench bench = run_bench(small_micro(), scorers);
        CHECK(bench.rows[0].splits[0].by_trace == usual.rows[0].splits[0].by_trace);
        if (bench.failures.empty()) {
            CHECK(bench.rows[1].splits[0].by_trace == usual.rows[1].splits[0].by_trace);
            continue;
        }
        CHECK(bench.failures[0].blame == Blame::outside);
        CHECK_THAT(bench.failures[0].plugin, ContainsSubstring("tunable ("));
        return;
    }
    FAIL("no bench was hindered");
}

TEST_CASE("a library finds its neighbours by its own place, isolated or not, and messages call it by its file") {
    const TemporaryFolder folder;
    fs::copy(test_plugins / "beside", folder / "beside", fs::copy_options::recursive);
    const Suite suite = small_micro();
    const auto figures = [&](const std::shared_ptr<const Plugin>& plugin) {
        return run_bench(suite, std::vector{Scorer::from_plugin("x", plugin, plugin->default_values())})
            .rows[0]
            .splits[0]
            .by_trace;
    };
    const fs::path file = folder / "beside/tunable.so";
    const auto expected = figures(Plugin::load(test_plugins / "tuned" / "tunable.so"));
    CHECK(figures(Plugin::load(file)) == expected);
    CHECK(figures(isolating()(file)) == expected);

    fs::copy(test_plugins / "beside", folder / "alone", fs::copy_options::recursive);
    fs::remove_all(folder / "alone/lib");
    fs::remove_all(folder / "beside");
    for (const PluginHost::Loader& load : {PluginHost::Loader(Plugin::load), isolating()})
        CHECK_THROWS_WITH(load(folder / "alone/tunable.so"), ContainsSubstring("alone/tunable.so: load: ") &&
                                                                 ContainsSubstring("libneighbour.so") &&
                                                                 !ContainsSubstring("/proc/self/fd"));
}

TEST_CASE("a run that was begun with a library's path goes on without it, wherever its folder is") {
    const TemporaryFolder folder;
    const auto evolve = [&](const std::string& options, const char* where) {
        return shell("evictlab evolve --generations 3 --quiet --plugin-timeout 60 " + options,
                     (folder / where).string());
    };
    fs::create_directory(folder / "a");
    fs::copy_file(test_plugins / "tuned" / "tunable.so", folder / "a/tunable.so");
    const std::string begin = "--tune ./tunable.so:share=0.3 --suite micro --patterns 1 --layers 1 --seq-len 16 "
                              "--population 4 --state run.json";
    REQUIRE(evolve(begin + " --generations 1", "a").code == 2); // given twice
    const Outcome begun =
        shell("evictlab evolve --generations 1 --quiet --plugin-timeout 60 " + begin, (folder / "a").string());
    INFO(begun.err);
    REQUIRE(begun.code == 0);
    fs::rename(folder / "a", folder / "b");
    CHECK_THAT(bytes_of(folder / "b/run.json"), !ContainsSubstring(folder.path.string()));
    CHECK_THAT(evolve("--state run.json --resume --no-isolate", "b").err, ContainsSubstring("--tune PATH"));
    const Outcome resumed = evolve("--state b/run.json --resume", ".");
    INFO(resumed.err);
    CHECK(resumed.code == 0);
    fs::rename(folder / "b/tunable.so", folder / "elsewhere.so");
    CHECK_THAT(evolve("--state run.json --resume", "b").err, ContainsSubstring("is not there: say where it is by"));
    CHECK(evolve("--state run.json --resume --tune ../elsewhere.so:share=0.3", "b").code == 0);
}

TEST_CASE("the command says what to do when its processes are killed, and its run goes on") {
    const TemporaryFolder folder;
    fs::copy_file(test_plugins / "tuned" / "tunable.so", folder / "tunable.so");
    const std::string where = folder.path.string();
    const pid_t host = ::fork(); // no thread of this process is in a plugin now
    REQUIRE(host >= 0);
    if (host == 0) {
        const std::string command =
            "cd '" + where +
            "' && exec '" EVICTLAB_BINARY "' evolve --tune ./tunable.so --suite micro --patterns 1 "
            "--layers 1 --seq-len 16 --population 4 --quiet --plugin-timeout 60 --state run.json 2> said";
        ::execl("/bin/sh", "sh", "-c", command.c_str(), static_cast<char*>(nullptr));
        ::_exit(127);
    }
    while (!fs::exists(folder / "run.json.journal") || fs::file_size(folder / "run.json.journal") == 0)
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
    int status = 0;
    {
        const Persecutor persecutor(host, SIGKILL);
        ::waitpid(host, &status, 0);
    }
    const std::string said = bytes_of(folder / "said");
    INFO(said);
    CHECK((WIFEXITED(status) && WEXITSTATUS(status) == 1));
    CHECK_THAT(said, ContainsSubstring("no candidate was rejected for it") &&
                         ContainsSubstring("evictlab evolve --state run.json --resume"));
    CHECK(shell("evictlab evolve --state run.json --resume --quiet --max-seconds 1 --plugin-timeout 60", where).code ==
          0);
}
