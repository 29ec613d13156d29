// What the store refuses: each with what, why and what to do, and with the run's files as they were.
// SPDX-License-Identifier: MIT
#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <ctime>
#include <functional>
#include <map>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

#include "state/store.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/saved_run.hpp"

using namespace evictlab;
using namespace evictlab::test;
using state::RunStore;
namespace fs = std::filesystem;

namespace {

std::string refusal(const std::function<void()>& step) {
    try {
        step();
    } catch (const state::StateError& error) {
        return error.what();
    }
    return "(not refused)";
}

std::string refused_resume(const fs::path& file) {
    return refusal([&] { RunStore::resume(file); });
}

std::string refused_save(RunStore& store, int generation) {
    return refusal([&] { save_generation(store, generation); });
}

/// Every file but the lock, with its bytes.
std::map<fs::path, std::string> files_in(const fs::path& folder) {
    std::map<fs::path, std::string> files;
    for (const auto& entry : fs::directory_iterator(folder))
        if (entry.path().extension() != ".lock") files[entry.path()] = bytes_of(entry.path());
    return files;
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
    const std::size_t at = text.find(from);
    REQUIRE(at != text.npos);
    return text.replace(at, from.size(), to);
}

/// A saved run of three generations.
struct SavedRun {
    TemporaryFolder folder;
    fs::path file = folder / "evolution.json";
    fs::path previous = folder / "evolution.json.previous";
    fs::path journal = folder / "evolution.json.journal";

    SavedRun() { make_run(file, 3); }
    /// The resume is refused, changes nothing, and gives this message.
    std::string refused() const {
        const auto before = files_in(folder.path);
        std::string message = refused_resume(file);
        CHECK(files_in(folder.path) == before);
        return message;
    }
};

/// A file system of its own, of 64 kB; not every machine lets a test mount one.
struct SmallDisk {
    TemporaryFolder folder;
    bool mounted = ::mount("tmpfs", folder.path.c_str(), "tmpfs", 0, "size=64k") == 0;

    SmallDisk() = default;
    SmallDisk(const SmallDisk&) = delete;
    SmallDisk& operator=(const SmallDisk&) = delete;
    ~SmallDisk() {
        if (mounted) ::umount2(folder.path.c_str(), MNT_DETACH);
    }
};

/// The system, but for the one call that shall fail.
struct Failing : state::FileOps {
    int left = -1; ///< calls until the one that fails; none fails below zero
    int error = EIO;
    bool failed = false;

    bool fails() {
        if (left < 0 || left-- != 0) return false;
        errno = error;
        return failed = true;
    }
    int open(const Path& path, int flags) override { return fails() ? -1 : FileOps::open(path, flags); }
    ssize_t write(int file, const void* bytes, std::size_t size) override {
        return fails() ? -1 : FileOps::write(file, bytes, size);
    }
    int fsync(int file) override { return fails() ? -1 : FileOps::fsync(file); }
    int rename(const Path& from, const Path& to) override { return fails() ? -1 : FileOps::rename(from, to); }
    int link(const Path& from, const Path& to) override { return fails() ? -1 : FileOps::link(from, to); }
};

} // namespace

TEST_CASE("A run that is not there, and one that is") {
    const TemporaryFolder folder;
    const auto file = folder / "evolution.json";
    CHECK_THAT(refused_resume(file), ContainsSubstring("there is no '" + file.string() + "'") &&
                                         ContainsSubstring("start it without --resume"));
    CHECK(fs::is_empty(folder.path));
    make_run(file, 2);
    const auto before = files_in(folder.path);
    const auto again = [&] { return refusal([&] { RunStore::create(file); }); };
    CHECK_THAT(again(), ContainsSubstring("exists already and is not overwritten") && ContainsSubstring("--resume"));
    CHECK(files_in(folder.path) == before);
    put(file, "damaged");
    CHECK_THAT(again(), ContainsSubstring("exists already"));
    fs::remove(file);
    CHECK_THAT(again(), ContainsSubstring(".previous' exists already"));
    fs::remove(folder / "evolution.json.previous");
    CHECK_THAT(again(), ContainsSubstring("there is a journal") && ContainsSubstring("move the journal away"));
    CHECK(bytes_of(file) == "");
}

TEST_CASE("A damaged state file, with the generation before pointed out") {
    const SavedRun run;
    const std::string whole = bytes_of(run.file);
    std::string cause;
    SECTION("truncated") {
        put(run.file, whole.substr(0, whole.size() / 2));
        cause = "is truncated: it ends after " + std::to_string(whole.size() / 2) + " bytes";
    }
    SECTION("empty") {
        put(run.file, "");
        cause = "' is empty.";
    }
    SECTION("overwritten with zeros") {
        put(run.file, std::string(whole.size(), '\0'));
        cause = "is damaged: no valid JSON at line 1, column 1";
    }
    SECTION("edited") {
        put(run.file, replaced(whole, "recent_attn^3", "recent_attn^4"));
        cause = "does not fit its checksum";
    }
    SECTION("gone") {
        fs::remove(run.file);
        cause = "there is no '" + run.file.string() + "'.";
    }
    const std::string message = run.refused();
    CHECK_THAT(message, ContainsSubstring(cause) && ContainsSubstring("saved before it is whole") &&
                            ContainsSubstring("cp " + run.previous.string()) && ContainsSubstring("--resume"));
    put(run.file, bytes_of(run.previous));
    CHECK(RunStore::resume(run.file).content() == made_up_content(2));
}

TEST_CASE("A damaged state file with no generation before it that could be used") {
    const SavedRun run;
    put(run.file, "{");
    SECTION("damaged too") {
        put(run.previous, "{");
        CHECK_THAT(run.refused(), ContainsSubstring("cannot be used either") && ContainsSubstring("backup"));
    }
    SECTION("gone") {
        fs::remove(run.previous);
        CHECK_THAT(run.refused(), ContainsSubstring("There is no") && ContainsSubstring("backup"));
    }
}

TEST_CASE("A file of another kind or of another version") {
    const SavedRun run;
    const std::string whole = bytes_of(run.file);
    const std::string schema = "evictlab-evolution/1";
    SECTION("newer") {
        put(run.file, replaced(whole, schema, "evictlab-evolution/2"));
        CHECK_THAT(run.refused(), ContainsSubstring("'evictlab-evolution/2'") && ContainsSubstring("a newer evictlab"));
    }
    SECTION("unknown") {
        put(run.file, replaced(whole, schema, "evictlab-evolution/0"));
        CHECK_THAT(run.refused(), ContainsSubstring("made by another evictlab"));
    }
    SECTION("no run") {
        put(run.file, R"({"schema": "evictlab-bench/1"})");
        CHECK_THAT(run.refused(), ContainsSubstring("is not an evolution run: it has no schema"));
    }
    SECTION("no object") {
        put(run.file, "[1, 2]");
        CHECK_THAT(run.refused(), ContainsSubstring("holds no JSON object"));
    }
    SECTION("no checksum") {
        put(run.file, replaced(whole, "\"checksum\"", "\"check\""));
        CHECK_THAT(run.refused(), ContainsSubstring("its field 'checksum' is missing"));
    }
}

TEST_CASE("A hostile file is refused at once") {
    const SavedRun run;
    SECTION("nested deeply") {
        put(run.file, R"({"schema":"evictlab-evolution/1","run":)" + std::string(3'000'000, '['));
        CHECK_THAT(run.refused(), ContainsSubstring("nests deeper than 64 levels"));
    }
    SECTION("huge") {
        put(run.file, "");
        fs::resize_file(run.file, std::uintmax_t{1} << 40);
        CHECK_THAT(refused_resume(run.file), ContainsSubstring("is 1099511627776 bytes long, more than"));
    }
    SECTION("brackets in text are not nesting") {
        auto store = RunStore::resume(run.file);
        state::Json content = {{"text", "\\\"" + std::string(500, '[')}};
        store.save(content, {});
        CHECK(state::read_state(run.file) == content);
    }
}

TEST_CASE("What could not be read again is not saved") {
    SavedRun run;
    auto store = RunStore::resume(run.file);
    const auto before = files_in(run.folder.path);
    state::Json deep = 1;
    for (int i = 0; i < 70; ++i) deep = state::Json::array({std::move(deep)});
    CHECK_THAT(refusal([&] { store.save({{"deep", deep}}, {}); }), ContainsSubstring("nests deeper than 64"));
    CHECK_THAT(refusal([&] { store.save({{"text", "\xff\xfe"}}, {}); }), ContainsSubstring("no text in UTF-8"));
    CHECK_THROWS_AS(store.save(3, {}), std::invalid_argument);
    for (const std::string line : {"{\"a\":\n1}", "1", ""})
        CHECK_THROWS_AS(store.save(made_up_content(4), std::span(&line, 1)), std::invalid_argument);
    CHECK(files_in(run.folder.path) == before);
}

TEST_CASE("A journal that is not the saved one") {
    const SavedRun run;
    const std::string whole = bytes_of(run.journal);
    SECTION("gone") {
        fs::remove(run.journal);
        CHECK_THAT(run.refused(), ContainsSubstring("cannot open '" + run.journal.string() + "': No such file") &&
                                      ContainsSubstring("cannot be used either"));
        CHECK_FALSE(fs::exists(run.journal));
    }
    SECTION("shorter, so that the generation before can be used") {
        put(run.journal, whole.substr(0, whole.size() - 3));
        CHECK_THAT(run.refused(), ContainsSubstring("shorter than the " + std::to_string(whole.size())) &&
                                      ContainsSubstring("saved before it is whole"));
    }
    SECTION("edited at its beginning") {
        put(run.journal, replaced(whole, "g1-s0", "g9-s0"));
        CHECK_THAT(run.refused(), ContainsSubstring("was edited, damaged or belongs to another run") &&
                                      ContainsSubstring("cannot be used either"));
        CHECK_THAT(refusal([&] { journal_of(run.file); }), ContainsSubstring("was edited"));
    }
    SECTION("its lines in another order") {
        const std::size_t line = whole.find('\n') + 1;
        put(run.journal, whole.substr(line) + whole.substr(0, line));
        CHECK_THAT(run.refused(), ContainsSubstring("was edited"));
    }
    SECTION("removed while the run is open") {
        auto store = RunStore::resume(run.file);
        fs::remove(run.journal);
        CHECK_THAT(refused_save(store, 4),
                   ContainsSubstring("the one before is intact") && ContainsSubstring("No such file"));
        CHECK_FALSE(fs::exists(run.journal));
        CHECK(state::read_state(run.file) == made_up_content(3));
    }
}

TEST_CASE("A path that is no file in a folder") {
    const TemporaryFolder folder;
    for (const bool resumed : {false, true}) {
        const auto open = [&](const fs::path& file) {
            return refusal([&] { resumed ? RunStore::resume(file) : RunStore::create(file); });
        };
        CHECK_THAT(open(folder.path), ContainsSubstring("is a folder") && ContainsSubstring("/evolution.json'"));
        CHECK_THAT(open(folder / ""), ContainsSubstring("names no file"));
        CHECK_THAT(open(folder / "missing/evolution.json"),
                   ContainsSubstring("there is no folder '" + (folder / "missing").string()) &&
                       ContainsSubstring("make it first"));
    }
    CHECK_THAT(refusal([&] { state::read_state(folder.path); }), ContainsSubstring("is a folder"));
    CHECK_THAT(refusal([&] { state::read_state("/dev/zero"); }), ContainsSubstring("no regular file"));
    CHECK(fs::is_empty(folder.path));
}

TEST_CASE("A run of which no generation was saved yet has nothing to report") {
    const TemporaryFolder folder;
    const RunStore store = RunStore::create(folder / "evolution.json");
    CHECK_THAT(refusal([&] { state::read_state(folder / "evolution.json"); }),
               ContainsSubstring("holds no generation yet"));
}

TEST_CASE("A second process, while the first lives") {
    const SavedRun run;
    int ready[2];
    REQUIRE(::pipe(ready) == 0);
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        const RunStore store = RunStore::resume(run.file);
        if (::write(ready[1], "!", 1) != 1) ::_exit(1);
        for (;;) ::pause();
    }
    char byte = 0;
    REQUIRE(::read(ready[0], &byte, 1) == 1);
    CHECK_THAT(run.refused(), ContainsSubstring("is in use by process " + std::to_string(child) + " on ") &&
                                  ContainsSubstring("wait until it ends or stop it"));
    CHECK(state::read_state(run.file) == made_up_content(3));
    const auto holder = state::holder_of(run.file);
    REQUIRE(holder);
    CHECK_THAT(holder->text, ContainsSubstring("process " + std::to_string(child) + " on "));
    REQUIRE(holder->since);
    CHECK(std::abs(std::difftime(*holder->since, std::time(nullptr))) < 60);
    ::kill(child, SIGKILL);
    REQUIRE(::waitpid(child, nullptr, 0) == child);
    CHECK(bytes_of(run.folder / "evolution.json.lock").starts_with("process " + std::to_string(child)));
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
    CHECK_THAT(refused_save(first, 4), ContainsSubstring("was removed or replaced") && ContainsSubstring("--resume"));
    CHECK(journal_of(run.file) == made_up_journal(4));
}

TEST_CASE("A folder that vanished") {
    const TemporaryFolder folder;
    fs::create_directory(folder / "run");
    auto store = RunStore::create(folder / "run/evolution.json");
    save_generation(store, 1);
    fs::rename(folder / "run", folder / "elsewhere");
    CHECK_THAT(refused_save(store, 2),
               ContainsSubstring("cannot find '" + (folder / "run").string()) && ContainsSubstring("put it back"));
    fs::rename(folder / "elsewhere", folder / "run");
    save_generation(store, 2);
    CHECK(journal_of(folder / "run/evolution.json") == made_up_journal(2));
}

TEST_CASE("A read-only folder") {
    struct ReadOnly : state::FileOps {
        int writable(const Path&) override {
            errno = EROFS;
            return -1;
        }
    } read_only;
    SmallDisk disk;
    const auto file = disk.folder / "evolution.json";
    make_run(file, 2);
    const bool remounted =
        disk.mounted && ::mount(nullptr, disk.folder.path.c_str(), nullptr, MS_REMOUNT | MS_RDONLY, nullptr) == 0;
    state::FileOps& ops = remounted ? state::system_file_ops() : read_only;
    for (const std::string& message : {refusal([&] { RunStore::resume(file, ops); }),
                                       refusal([&] { RunStore::create(disk.folder / "new.json", ops); })})
        CHECK_THAT(message, ContainsSubstring("cannot write into") && ContainsSubstring("Read-only file system") &&
                                ContainsSubstring("right to read and write"));
    CHECK(state::read_state(file) == made_up_content(2));
    CHECK(journal_of(file) == made_up_journal(2));
}

TEST_CASE("A full disk, and going on once there is room") {
    SmallDisk disk;
    const auto file = disk.folder / "evolution.json";
    make_run(file, 3);
    auto store = RunStore::resume(file);
    const auto before = files_in(disk.folder.path);
    state::Json content = made_up_content(4);
    std::vector<std::string> lines = made_up_lines(4);
    SECTION("too small for the state") { content["large"] = std::string(100'000, 'x'); }
    SECTION("too small for the journal") { lines.push_back(R"({"large":")" + std::string(100'000, 'x') + "\"}"); }
    rlimit old{};
    if (!disk.mounted) { // a limit on every file's size stands in for it
        ::getrlimit(RLIMIT_FSIZE, &old);
        std::signal(SIGXFSZ, SIG_IGN);
        const rlimit small{64 * 1024, old.rlim_max};
        REQUIRE(::setrlimit(RLIMIT_FSIZE, &small) == 0);
    }
    const std::string message = refusal([&] { store.save(content, lines); });
    if (!disk.mounted) ::setrlimit(RLIMIT_FSIZE, &old);
    CHECK_THAT(message, ContainsSubstring("the one before is intact") &&
                            ContainsSubstring(disk.mounted ? "No space left on device" : "File too large") &&
                            ContainsSubstring("Free space"));
    CHECK(files_in(disk.folder.path) == before);
    CHECK(store.content() == made_up_content(3));
    save_generation(store, 4);
    CHECK(journal_of(file) == made_up_journal(4));
}

TEST_CASE("Whatever system call fails while saving, one of the two generations is whole and the run goes on") {
    const int error = GENERATE(EIO, ENOSPC, EPERM);
    bool failed = true;
    int call = 0;
    for (; failed; ++call) {
        INFO("call " << call << " fails with " << std::strerror(error));
        const SavedRun run;
        Failing ops;
        std::string message;
        {
            auto store = RunStore::resume(run.file, ops);
            ops.left = call;
            ops.error = error;
            message = refused_save(store, 4);
            failed = ops.failed;
            CHECK_FALSE(fs::exists(run.folder / "evolution.json.tmp"));
        }
        auto store = RunStore::resume(run.file);
        const int last = store.content().at("generation");
        if (message == "(not refused)" || message.find("may not survive a power cut") != message.npos)
            CHECK(last == 4);
        else
            CHECK(last == 3);
        CHECK(store.content() == made_up_content(last));
        CHECK(journal_of(run.file) == made_up_journal(last));
        save_generation(store, last + 1);
        CHECK(journal_of(run.file) == made_up_journal(last + 1));
    }
    CHECK(call > 8); // that many calls there are to fail
}
