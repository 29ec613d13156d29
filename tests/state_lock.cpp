// Who has a run open: a second process, another host, a lock that was taken away, a clock that was set back.
// SPDX-License-Identifier: MIT
#include <atomic>
#include <chrono>
#include <csignal>
#include <ctime>
#include <optional>
#include <sched.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <utility>

#include "tests/support/refused_run.hpp"

using namespace evictlab;
using namespace evictlab::test;
using state::RunStore;
namespace fs = std::filesystem;

namespace {

/// A process that has the run open until its end; `before` runs in it first, and may refuse.
class HoldingProcess {
public:
    explicit HoldingProcess(
        const fs::path& file, bool (*before)() = [] { return true; }) {
        int ready[2];
        REQUIRE(::pipe(ready) == 0);
        pid = ::fork();
        REQUIRE(pid >= 0);
        if (pid == 0) {
            if (!before()) ::_exit(1);
            const RunStore store = RunStore::resume(file);
            if (::write(ready[1], "!", 1) != 1) ::_exit(1);
            for (;;) ::pause();
        }
        ::close(ready[1]);
        char byte = 0;
        holds = ::read(ready[0], &byte, 1) == 1;
        ::close(ready[0]);
    }
    HoldingProcess(const HoldingProcess&) = delete;
    HoldingProcess& operator=(const HoldingProcess&) = delete;
    ~HoldingProcess() { end(); }
    void end() {
        if (pid <= 0) return;
        ::kill(pid, SIGKILL);
        ::waitpid(std::exchange(pid, -1), nullptr, 0);
    }

    pid_t pid = -1;
    bool holds = false;
};

/// A host on a file system that keeps its locks to itself.
struct OtherHost : state::FileOps {
    int lock(int) override { return 0; }
};

} // namespace

TEST_CASE("A second process, while the first lives") {
    const SavedRun run;
    HoldingProcess first(run.file);
    REQUIRE(first.holds);
    const std::string name = "process " + std::to_string(first.pid) + " on ";
    CHECK_THAT(run.refused(),
               ContainsSubstring("is in use by " + name) && ContainsSubstring("wait until it ends or stop it"));
    CHECK(state::read_state(run.file) == made_up_content(3));
    const auto holder = state::holder_of(run.file);
    REQUIRE(holder);
    CHECK_THAT(holder->text, ContainsSubstring(name) && !ContainsSubstring("\n"));
    REQUIRE(holder->since);
    CHECK(std::abs(std::difftime(*holder->since, std::time(nullptr))) < 60);
    first.end();
    CHECK(bytes_of(run.lock).starts_with(name));
    CHECK_FALSE(state::holder_of(run.file)); // the file still names it
    CHECK_NOTHROW(RunStore::resume(run.file));
}

TEST_CASE("Asking who has a run open keeps nobody away") {
    const SavedRun run;
    CHECK_FALSE(state::holder_of(run.file));
    CHECK_FALSE(state::holder_of(run.folder / "no.json"));
    std::atomic<bool> enough{false};
    std::thread asking([&] {
        while (!enough) {
            state::holder_of(run.file);
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
        }
    });
    for (int i = 0; i < 50; ++i) CHECK_NOTHROW(RunStore::resume(run.file));
    enough = true;
    asking.join();
}

TEST_CASE("A lock file that was taken away lets nobody overwrite a run") {
    const SavedRun run;
    auto first = RunStore::resume(run.file);
    fs::remove(run.folder / "evolution.json.lock");
    auto second = RunStore::resume(run.file);
    save_generation(second, 4);
    CHECK_THAT(refused_save(first, 4),
               ContainsSubstring("was removed or replaced") && ContainsSubstring("Resume the run"));
    CHECK(journal_of(run.file) == made_up_journal(4));
}

TEST_CASE("Who begins a run while others give theirs up has a lock that holds") {
    const TemporaryFolder folder;
    const auto file = folder / "evolution.json";
    std::atomic<bool> enough{false};
    std::thread giving_up([&] {
        while (!enough) refusal([&] { RunStore::create(file); });
    });
    for (int i = 0; i < 100; ++i) {
        std::optional<RunStore> store;
        while (!store) refusal([&] { store = RunStore::create(file); });
        CHECK_NOTHROW(save_generation(*store, 1));
        for (const auto& [path, bytes] : files_in(folder.path)) fs::remove(path);
    }
    enough = true;
    giving_up.join();
}

TEST_CASE("A second host, where locks hold between hosts") {
    const SavedRun run;
    const HoldingProcess first(run.file,
                               [] { return ::unshare(CLONE_NEWUTS) == 0 && ::sethostname("another-host", 12) == 0; });
    if (!first.holds) {
        WARN("skipped: no right to take another host name (root has it)");
        return;
    }
    CHECK_THAT(run.refused(),
               ContainsSubstring("is in use by process " + std::to_string(first.pid) + " on another-host since "));
}

TEST_CASE("A second host, where each host sees its own locks only") {
    const SavedRun run;
    auto first = RunStore::resume(run.file);
    OtherHost elsewhere;
    auto second = RunStore::resume(run.file, elsewhere);
    SECTION("before either saves") {}
    SECTION("after a generation of the second") { save_generation(second, 4); }
    const auto before = files_in(run.folder.path);
    CHECK_THAT(refused_save(first, 4),
               ContainsSubstring(run.lock.string() + "' now names process " + std::to_string(::getpid())) &&
                   ContainsSubstring("the run was opened there, too") && ContainsSubstring("resume the run"));
    CHECK(files_in(run.folder.path) == before);
    const int next = second.content().at("generation").get<int>() + 1;
    save_generation(second, next);
    CHECK(journal_of(run.file) == made_up_journal(next));
}

TEST_CASE("A state that somebody else saved while the run was open is not written over") {
    const SavedRun run;
    auto store = RunStore::resume(run.file);
    SECTION("another content") {
        put(run.file, bytes_of(run.previous));
        const auto before = files_in(run.folder.path);
        CHECK_THAT(refused_save(store, 4), ContainsSubstring("was changed by somebody else while the run was open") &&
                                               ContainsSubstring("resume the run"));
        CHECK(files_in(run.folder.path) == before);
    }
    SECTION("no JSON") {
        put(run.file, "mine");
        CHECK_THAT(refused_save(store, 4), ContainsSubstring("was changed by somebody else"));
        CHECK(bytes_of(run.file) == "mine");
    }
    SECTION("the same content, written anew") {
        put(run.file, state::Json::parse(bytes_of(run.file)).dump());
        save_generation(store, 4);
        save_generation(store, 5);
        CHECK(journal_of(run.file) == made_up_journal(5));
    }
}

TEST_CASE("A clock that was set back changes nothing but what is said of the time") {
    const SavedRun run;
    using namespace std::chrono_literals;
    for (const fs::path& file : {run.file, run.previous, run.journal})
        fs::last_write_time(file, fs::last_write_time(file) + 24h * 365);
    {
        HoldingProcess first(run.file);
        REQUIRE(first.holds);
        put(run.lock, "process " + std::to_string(first.pid) + " on here since 2999-01-31T12:00:00Z\n");
        CHECK_THAT(run.refused(), ContainsSubstring("on here since 2999-01-31T12:00:00Z, by a clock that is ahead of "
                                                    "this one: wait until it ends"));
        const auto holder = state::holder_of(run.file);
        REQUIRE(holder);
        CHECK_THAT(holder->text, ContainsSubstring("by a clock that is ahead"));
    }
    auto store = RunStore::resume(run.file);
    save_generation(store, 4);
    CHECK(state::read_state(run.file) == made_up_content(4));
    CHECK(journal_of(run.file) == made_up_journal(4));
}

TEST_CASE("A lock file of any content is shown as one plain line") {
    const SavedRun run;
    HoldingProcess first(run.file);
    REQUIRE(first.holds);
    put(run.lock, "process 12 on \x1b[2J\x07" + std::string(400, 'x') + "\nmore");
    const std::string message = run.refused();
    CHECK_THAT(message, ContainsSubstring("is in use by process 12 on \\x1b[2J\\x07xxx"));
    CHECK(message.size() < 500);
    put(run.lock, "");
    CHECK_THAT(run.refused(), ContainsSubstring("is in use by another process"));
}
