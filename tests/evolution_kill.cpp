// The command line's run, killed with SIGKILL at thirty random moments and resumed each time, ends as one that never
// was. SPDX-License-Identifier: MIT
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <thread>

#include "evolution/random.hpp"
#include "state/store.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/small_runs.hpp"
#include "tests/support/trace_writer.hpp"

using namespace evictlab;
using evictlab::test::bytes_of;
using evictlab::test::TemporaryFolder;
namespace fs = std::filesystem;
using evictlab::evolution::Purpose;
using evictlab::evolution::Rng;

namespace {

using Words = std::vector<std::string>;

const Words micro{"--suite", "micro", "--patterns", "2", "--seq-len", "32", "--layers", "2"};

/// Starts the program with its output in a file beside the state, and returns its process id.
pid_t start(const fs::path& state, const Words& options) {
    Words arguments{EVICTLAB_BINARY, "evolve", "--state",      state, "--seed", "1",
                    "--generations", "5",      "--population", "40"};
    arguments.insert(arguments.end(), options.begin(), options.end());
    if (fs::exists(state)) arguments.push_back("--resume");
    std::vector<char*> pointers;
    for (auto& argument : arguments) pointers.push_back(argument.data());
    pointers.push_back(nullptr);
    const std::string log = state.string() + ".log";
    const pid_t child = fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        const int out = open(log.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
        dup2(out, STDOUT_FILENO);
        dup2(out, STDERR_FILENO);
        execv(pointers[0], pointers.data());
        _exit(127);
    }
    return child;
}

/// Waits for the end; -1 where a signal ended it.
int exit_code(pid_t child) {
    int status = 0;
    REQUIRE(waitpid(child, &status, 0) == child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/// The command names the state file, which differs.
std::string outcome(const fs::path& state) { return evictlab::test::saved_run(state, {"command"}); }

double seconds_of_a_run(const fs::path& state, const Words& options) {
    const auto began = std::chrono::steady_clock::now();
    const int code = exit_code(start(state, options));
    INFO(bytes_of(state.string() + ".log"));
    REQUIRE(code == 0);
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
}

/// Runs, kills and resumes until the run is finished; how often it was killed.
int run_through_kills(const fs::path& state, const Words& options, double longest_life, Rng& rng) {
    for (int kills = 0;; ++kills) {
        const pid_t child = start(state, options);
        std::this_thread::sleep_for(std::chrono::duration<double>(longest_life * rng.uniform()));
        ::kill(child, SIGKILL);
        const int code = exit_code(child);
        INFO(bytes_of(state.string() + ".log"));
        REQUIRE((code == -1 || code == 0));
        if (code == 0) return kills;
        if (kills > 200) FAIL("the run does not get on between kills");
    }
}

void check_kills(const TemporaryFolder& folder, const Words& options, int wanted) {
    const fs::path whole = folder / "whole.json";
    const double undisturbed = seconds_of_a_run(whole, options);
    Rng rng(30, 0, 0, Purpose::variation);
    int kills = 0;
    for (int run = 0; kills < wanted; ++run) {
        const fs::path state = folder.path / (std::to_string(run) + ".json");
        kills += run_through_kills(state, options, 0.6 * undisturbed, rng);
        CHECK(outcome(state) == outcome(whole));
    }
}

/// A small captured suite, made up.
struct CapturedFolder {
    TemporaryFolder folder;
    fs::path suite = folder / "suite";

    CapturedFolder() {
        std::vector<evictlab::test::TraceShape> shapes;
        for (const char* split : {"train", "train", "valid", "test"}) {
            evictlab::test::TraceShape shape;
            shape.split = split;
            shape.seed = static_cast<std::uint32_t>(shapes.size() + 1);
            shape.document = "document " + std::to_string(shape.seed);
            shapes.push_back(shape);
        }
        fs::create_directory(suite);
        evictlab::test::write_suite(suite, shapes);
    }
};

} // namespace

TEST_CASE("thirty kills and resumes end in the bits of undisturbed runs") {
    const TemporaryFolder folder;
    check_kills(folder, micro, 30);
}

TEST_CASE("kills and resumes end in the same bits on a captured suite with every way to select and to save work") {
    const CapturedFolder captured;
    check_kills(captured.folder,
                {"--suite", captured.suite, "--start", "window_attn:16", "--parents", "lexicase", "--islands", "3",
                 "--migration", "2", "--archive", "0.2", "--semantic-duplicates", "skip", "--race", "on"},
                12);
}

TEST_CASE("kills and resumes end in the same bits where a plugin is tuned") {
    const CapturedFolder captured;
    check_kills(captured.folder, {"--suite", captured.suite, "--tune", "snapkv@kvpress:window=4"}, 6);
}
