// Evolution on a disk that fails: at every single call that a run makes of it, in every way that a call can go wrong,
// and where the process stops just before or just after it. The run then goes on to the bits of an undisturbed one, and
// what it said of the fault was true. Each run is a process of its own, forked from one that has no threads.
// SPDX-License-Identifier: MIT
#include <cerrno>
#include <cstring>
#include <functional>
#include <optional>
#include <sys/wait.h>
#include <unistd.h>

#include "evolution/run.hpp"
#include "framework/capture/suites.hpp"
#include "framework/fitness/rescore_fitness.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/faulty_files.hpp"
#include "tests/support/small_runs.hpp"

using namespace evictlab;
using namespace evictlab::test;
namespace fs = std::filesystem;
using state::RunStore;

namespace {

constexpr std::uint32_t last_generation = 3;
/// Every call; with a sanitizer, where a process takes ten times as long, some of them.
const int stride = std::string_view(EVICTLAB_SANITIZE).empty() ? 1 : 9;

/// What a process that ran said of it.
struct Report {
    int acknowledged = -1; ///< the last generation that was reported as saved
    bool finished = false;
    std::string error; ///< "" where it ended well or was stopped
    int calls = 0;     ///< of the disk, since the faults were armed
    bool happened = false;
};

evolution::RunSetup tiny_setup(const Suite& suite) {
    evolution::RunSetup setup;
    setup.config.start = "0.6*recent_attn + 0.4*cumulative_attn";
    setup.config.start_formula = formula::parse(setup.config.start);
    setup.config.seed = 7;
    setup.config.population = 6;
    setup.config.tuned = 1;
    setup.config.tuning_evaluations = 6;
    setup.identity = identity_on(suite);
    setup.limits.generations = last_generation;
    return setup;
}

/// One wrong call, counted from the moment at which the run has saved `from` (-1: from its very beginning).
struct Plan {
    int call = -1;
    Fault fault = Fault::none;
    int error = EIO;
    int from = -1;
    bool has_links = true;
    std::optional<std::uint32_t> until{}; ///< stops there instead of at the last generation
};

class Child {
public:
    explicit Child(int report) : report_(report) {}

    [[noreturn]] void run(const fs::path& file, bool resumes, const Plan& plan) {
        FaultyFiles files;
        files.has_links = plan.has_links;
        const auto arm = [&] { files.arm(plan.call, plan.fault, plan.error); };
        try {
            if (plan.from < 0) arm();
            evolve(file, resumes, plan, files, arm);
            say('f', 0);
        } catch (const std::exception& error) {
            say('c', files.calls());
            say('h', files.happened());
            const std::string what = error.what();
            say('e', static_cast<int>(what.size()));
            if (::write(report_, what.data(), what.size()) < 0) ::_exit(3);
            ::_exit(1);
        }
        say('c', files.calls());
        say('h', files.happened());
        ::_exit(0);
    }

private:
    void evolve(const fs::path& file, bool resumes, const Plan& plan, FaultyFiles& files,
                const std::function<void()>& arm) const {
        SuiteOptions sizes;
        sizes.patterns = 1;
        sizes.seq_len = 16;
        sizes.num_layers = 1;
        const Suite suite = make_suite("micro", sizes);
        const RescoreFitness fitness(suite.search_traces(), {0.5});
        evolution::RunSetup setup = tiny_setup(suite);
        if (plan.until) setup.limits.generations = plan.until;
        auto store = resumes ? RunStore::resume(file, files) : RunStore::create(file, files);
        evolution::RunHooks hooks;
        hooks.on_generation = [&](const evolution::RunProgress& progress) {
            say('g', static_cast<int>(progress.generation));
            if (plan.from == static_cast<int>(progress.generation)) arm();
        };
        evolution::run_evolution(setup, fitness, store, hooks);
    }
    void say(char what, int value) const {
        char bytes[1 + sizeof value] = {what};
        std::memcpy(bytes + 1, &value, sizeof value);
        if (::write(report_, bytes, sizeof bytes) != sizeof bytes) ::_exit(3);
    }

    int report_;
};

Report report_from(int pipe) {
    Report report;
    char bytes[1 + sizeof(int)];
    while (::read(pipe, bytes, sizeof bytes) == sizeof bytes) {
        int value = 0;
        std::memcpy(&value, bytes + 1, sizeof value);
        if (bytes[0] == 'g') report.acknowledged = value;
        if (bytes[0] == 'f') report.finished = true;
        if (bytes[0] == 'c') report.calls = value;
        if (bytes[0] == 'h') report.happened = value != 0;
        if (bytes[0] != 'e') continue;
        report.error.resize(static_cast<std::size_t>(value));
        REQUIRE(::read(pipe, report.error.data(), report.error.size()) == value);
    }
    return report;
}

Report run_in_a_process(const fs::path& file, bool resumes, const Plan& plan = {}) {
    int ends[2];
    REQUIRE(::pipe(ends) == 0);
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) Child(ends[1]).run(file, resumes, plan);
    ::close(ends[1]);
    Report report = report_from(ends[0]);
    ::close(ends[0]);
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    const bool as_planned = WIFEXITED(status) ? WEXITSTATUS(status) < 2 : WTERMSIG(status) == SIGKILL;
    if (!as_planned) FAIL("the process ended with status " << status);
    return report;
}

/// The generation that the run's files hold; -1 where they hold none. Without hard links the file before it counts
/// where a stop between two renames left it alone.
int saved_generation(const fs::path& file, const Plan& plan = {}) {
    const bool fell_back = !plan.has_links && !fs::exists(file);
    try {
        return state::read_state(fell_back ? fs::path(file.string() + ".previous") : file).at("generation").get<int>();
    } catch (const state::StateError&) {
        return -1;
    }
}

/// As a user does who follows the messages: --resume, a new start where there is nothing yet, and, where a file system
/// without hard links was cut off between two renames, the copy that the message asks for.
void go_on_to_the_end(const fs::path& file, const Plan& plan) {
    Plan rest;
    rest.has_links = plan.has_links;
    Report report = run_in_a_process(file, true, rest);
    if (report.error.find("so there is no run to go on with: start one there") != std::string::npos) {
        report = run_in_a_process(file, false, rest);
    } else if (!plan.has_links && report.error.find("The generation saved before it is whole. To go on from it: cp ") !=
                                      std::string::npos) {
        fs::copy_file(file.string() + ".previous", file);
        report = run_in_a_process(file, true, rest);
    }
    INFO(report.error);
    REQUIRE(report.finished);
}

void check_truth(const Report& report, const fs::path& file, int saved_before, const Plan& plan) {
    const std::string& said = report.error;
    const int acknowledged = std::max(report.acknowledged, saved_before);
    const int saved = saved_generation(file, plan);
    if (said.empty()) return;
    CHECK_THAT(said, ContainsSubstring(std::strerror(plan.error)) && ContainsSubstring(file.parent_path().string()));
    if (said.starts_with("cannot start a run in"))
        CHECK((saved == -1 && acknowledged == -1));
    else if (said.starts_with("cannot save a generation to"))
        CHECK((said.find("the one before is intact") != said.npos && saved == acknowledged));
    else if (said.find("is saved but may not survive a power cut") != said.npos)
        CHECK(saved == acknowledged + 1);
    else if (said.starts_with("cannot go on with") || said.find("cannot be read") != said.npos)
        CHECK(saved == saved_before);
    else
        FAIL("no message that a user should meet: " << said);
}

/// Every call of what `begin` starts, in every way; `prepare` makes the folder what it is before.
void try_every_fault(const Plan& base, bool resumes, int least_calls,
                     const std::function<void(const fs::path&)>& prepare) {
    const TemporaryFolder reference;
    REQUIRE(run_in_a_process(reference / "run.json", false).finished);
    const std::string expected = saved_run(reference / "run.json");
    const TemporaryFolder faultless;
    prepare(faultless / "run.json");
    const int calls = run_in_a_process(faultless / "run.json", resumes, base).calls;
    int faults = 0, refusals = 0;
    for (int call = 0; call < calls; call += stride)
        for (const Fault fault : all_faults) {
            const TemporaryFolder folder;
            const fs::path file = folder / "run.json";
            prepare(file);
            const int saved_before = saved_generation(file);
            Plan plan = base;
            plan.call = call;
            plan.fault = fault;
            plan.error = call % 2 == 0 ? EIO : ENOSPC;
            const Report report = run_in_a_process(file, resumes, plan);
            INFO("call " << call << ", fault " << static_cast<int>(fault) << ": " << report.error);
            const bool stopped = !report.finished && report.error.empty();
            if (!stopped && !report.happened) {
                CHECK(fault != Fault::fails); // which every call can
                continue;
            }
            ++faults;
            if (fault == Fault::falls_short) CHECK(report.finished);
            refusals += report.error.empty() ? 0 : 1;
            check_truth(report, file, saved_before, plan);
            CHECK(saved_generation(file, plan) >= std::max(report.acknowledged, saved_before));
            go_on_to_the_end(file, plan);
            CHECK(saved_run(file) == expected);
            CHECK_FALSE(fs::exists(file.string() + ".tmp"));
        }
    CHECK(calls > least_calls);
    CHECK(faults > calls / stride);
    CHECK(refusals > calls / stride / 2);
}

} // namespace

TEST_CASE("At every fault of a new run nothing is lost and the messages are true") {
    try_every_fault({.until = 1}, false, 60, [](const fs::path&) {});
}

TEST_CASE("At every fault of a save within a run nothing is lost and the messages are true") {
    try_every_fault({.from = 1, .until = 2}, false, 20, [](const fs::path&) {});
}

TEST_CASE("At every fault of a resume nothing is lost and the messages are true") {
    try_every_fault({}, true, 40, [](const fs::path& file) {
        REQUIRE(run_in_a_process(file, false, {.until = 2}).finished);
        // Lines of a generation that was being saved when the process died.
        std::ofstream(file.string() + ".journal", std::ios::app) << "{\"id\":\"g3-s0\"}\n{\"id";
    });
}

TEST_CASE("At every fault of a save without hard links nothing is lost and the messages are true") {
    try_every_fault({.from = 1, .has_links = false, .until = 2}, false, 20, [](const fs::path&) {});
}
