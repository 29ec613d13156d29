// SPDX-License-Identifier: MIT
#include "tests/support/killed_runs.hpp"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <thread>

#include "base/statistics/philox.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/small_runs.hpp"

namespace evictlab::test {
namespace {

namespace fs = std::filesystem;

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
std::string outcome(const fs::path& state) { return saved_run(state, {"command"}); }

/// The last generation that the output tells of, -1 where it tells of none: the line of a champion comes once it is
/// saved.
int told_generation(const fs::path& state) {
    int last = -1;
    std::ifstream log(state.string() + ".log");
    constexpr std::string_view word = "generation ";
    for (std::string line; std::getline(log, line) && !log.eof();) // not of a line that the kill cut short
        if (line.starts_with(word)) last = std::max(last, std::stoi(line.substr(word.size())));
    return last;
}

/// -1 where there is none yet.
int saved_generation(const fs::path& state) {
    if (!fs::exists(state)) return -1;
    const Json file = Json::parse(bytes_of(state));
    return file.at("run").is_null() ? -1 : file.at("run").at("generation").get<int>();
}

double seconds_of_a_run(const fs::path& state, const Words& options) {
    const auto began = std::chrono::steady_clock::now();
    const int code = exit_code(start(state, options));
    INFO(bytes_of(state.string() + ".log"));
    REQUIRE(code == 0);
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
}

/// What may never be lost: looked at after each kill.
class Acknowledged {
public:
    Acknowledged(fs::path state, const fs::path& whole)
        : state_(std::move(state)), whole_journal_(bytes_of(whole.string() + ".journal")) {}

    /// Whether there is more than at the last call.
    bool check() {
        const int saved = saved_generation(state_);
        const int told = told_generation(state_);
        INFO("saved " << saved << ", the output told of " << told << ", saved before " << saved_before_);
        REQUIRE(saved >= told);
        REQUIRE(saved >= saved_before_);
        const bool more = saved > saved_before_;
        saved_before_ = saved;
        // Lines of a generation that was not saved are made again, so all whole lines are the undisturbed run's.
        const std::string journal = bytes_of(state_.string() + ".journal");
        REQUIRE(whole_journal_.starts_with(journal.substr(0, journal.rfind('\n') + 1)));
        return more;
    }

private:
    fs::path state_;
    std::string whole_journal_;
    int saved_before_ = -1;
};

void sleep(double seconds) { std::this_thread::sleep_for(std::chrono::duration<double>(seconds)); }

/// The processes `evictlab fitness` that this one started, and has still.
std::vector<pid_t> fitness_workers_of(pid_t run) {
    std::vector<pid_t> found;
    for (const auto& entry : fs::directory_iterator("/proc")) {
        const std::string name = entry.path().filename();
        if (name.find_first_not_of("0123456789") != std::string::npos) continue;
        std::ifstream stat(entry.path() / "stat"), command(entry.path() / "cmdline");
        std::string status, words;
        std::getline(stat, status);
        std::getline(command, words);
        const std::string after = status.substr(std::min(status.size(), status.rfind(')') + 1)); // " S PARENT ..."
        if (after.size() > 3 && std::atoi(after.c_str() + 3) == run && words.find("fitness") != std::string::npos)
            found.push_back(std::stoi(name));
    }
    return found;
}

/// Runs, kills and resumes until the run is finished; how often it was killed.
int run_through_kills(const fs::path& state, const fs::path& whole, const Words& options, double longest_life, Rng& rng,
                      bool workers) {
    Acknowledged acknowledged(state, whole);
    for (int kills = 0;; ++kills) {
        const pid_t child = start(state, options);
        sleep(longest_life * rng.uniform());
        if (workers) {
            const std::vector<pid_t> found = fitness_workers_of(child);
            if (!found.empty())
                ::kill(found[static_cast<std::size_t>(rng.uniform() * static_cast<double>(found.size()))], SIGKILL);
            sleep(longest_life * rng.uniform());
        }
        ::kill(child, SIGKILL);
        const int code = exit_code(child);
        INFO(bytes_of(state.string() + ".log"));
        REQUIRE((code == -1 || code == 0));
        const bool more = acknowledged.check();
        if (code == 0) return kills;
        if (!more) longest_life *= 1.05; // the machine may have become slower
        if (kills > 200) FAIL("the run does not get on between kills");
    }
}

} // namespace

const Words small_micro_options{"--suite", "micro", "--patterns", "2", "--seq-len", "32", "--layers", "2"};

void check_kills(const TemporaryFolder& folder, const Words& options, int wanted, const Words& workers) {
    const fs::path whole = folder / "whole.json";
    double undisturbed = seconds_of_a_run(whole, options);
    Words killed = options;
    killed.insert(killed.end(), workers.begin(), workers.end());
    if (!workers.empty()) {
        const fs::path with_workers = folder / "with workers.json";
        undisturbed = seconds_of_a_run(with_workers, killed);
        CHECK(outcome(with_workers) == outcome(whole));
    }
    Rng rng(30, 0, 0, Purpose::variation);
    int kills = 0;
    for (int run = 0; kills < wanted; ++run) {
        const fs::path state = folder.path / (std::to_string(run) + ".json");
        kills += run_through_kills(state, whole, killed, 0.6 * undisturbed, rng, !workers.empty());
        CHECK(outcome(state) == outcome(whole));
        for (const char* ending : {"", ".journal", ".previous", ".lock", ".log"}) fs::remove(state.string() + ending);
    }
}

} // namespace evictlab::test
