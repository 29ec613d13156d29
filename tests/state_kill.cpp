// A run that is killed at any moment goes on with every generation that save() had returned for.
// SPDX-License-Identifier: MIT
#include <chrono>
#include <csignal>
#include <random>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

#include "tests/support/catch.hpp"
#include "tests/support/saved_run.hpp"

using namespace evictlab;
using namespace evictlab::test;
using state::RunStore;

namespace {

constexpr int padding = 50'000; ///< makes writing take long enough to be hit

state::Json large_content(int generation) {
    state::Json content = made_up_content(generation);
    content["population"] = std::string(padding, static_cast<char>('a' + generation % 26));
    return content;
}

std::vector<std::string> large_lines(int generation) {
    std::vector<std::string> lines = made_up_lines(generation);
    for (int i = 0; i < 20; ++i)
        lines.push_back(R"({"generation":)" + std::to_string(generation) + R"(,"formula":")" + std::string(500, 'x') +
                        "\"}");
    return lines;
}

int generation_of(const RunStore& store) {
    return store.content().is_null() ? 0 : store.content().at("generation").get<int>();
}

void save_large(RunStore& store, int generation) { store.save(large_content(generation), large_lines(generation)); }

/// What the child does until it is killed: goes on with the run and says which generations are saved.
[[noreturn]] void save_for_ever(const std::filesystem::path& file, int acknowledgements) {
    try {
        auto store = std::filesystem::exists(file) ? RunStore::resume(file) : RunStore::create(file);
        for (int generation = generation_of(store) + 1;; ++generation) {
            save_large(store, generation);
            if (::write(acknowledgements, &generation, sizeof generation) != sizeof generation) ::_exit(2);
        }
    } catch (const std::exception& error) {
        std::fprintf(stderr, "the killed process failed: %s\n", error.what());
    }
    ::_exit(1);
}

/// Lets a child save for so long, kills it, and gives the last generation that it acknowledged, or `before`.
int run_and_kill(const std::filesystem::path& file, std::chrono::microseconds moment, int before) {
    int ends[2];
    REQUIRE(::pipe(ends) == 0);
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        ::close(ends[0]);
        save_for_ever(file, ends[1]);
    }
    ::close(ends[1]);
    std::this_thread::sleep_for(moment);
    ::kill(child, SIGKILL);
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    CHECK(WIFSIGNALED(status));
    int acknowledged = before;
    for (int generation = 0; ::read(ends[0], &generation, sizeof generation) == sizeof generation;)
        acknowledged = generation;
    ::close(ends[0]);
    return acknowledged;
}

} // namespace

TEST_CASE("Killed at thirty random moments, a run has lost no acknowledged generation and goes on to the same bytes") {
    const TemporaryFolder folder;
    const auto file = folder / "evolution.json";
    std::mt19937 random(20240607);
    int last = 0;
    for (int kill = 0; kill < 30; ++kill) {
        const std::chrono::microseconds moment(random() % (kill % 3 == 0 ? 6'000 : 60'000));
        INFO("kill " << kill << " after " << moment.count() << " us");
        const int acknowledged = run_and_kill(file, moment, last);
        if (!std::filesystem::exists(file)) {
            REQUIRE(acknowledged == 0);
            continue;
        }
        const RunStore store = RunStore::resume(file);
        last = generation_of(store);
        REQUIRE(last >= acknowledged);
        REQUIRE(last <= acknowledged + 1); // the one being saved at that moment
        if (last == 0) continue;
        REQUIRE(store.content() == large_content(last));
        std::vector<std::string> expected;
        for (int generation = 1; generation <= last; ++generation)
            for (std::string& line : large_lines(generation)) expected.push_back(std::move(line));
        REQUIRE(journal_of(file) == expected);
    }
    REQUIRE(last > 0);

    auto undisturbed = RunStore::create(folder / "undisturbed.json");
    for (int generation = 1; generation <= last; ++generation) save_large(undisturbed, generation);
    CHECK(bytes_of(file) == bytes_of(folder / "undisturbed.json"));
    CHECK(bytes_of(folder / "evolution.json.journal") == bytes_of(folder / "undisturbed.json.journal"));
}
