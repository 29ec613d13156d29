// What the disk refuses: nothing there, a folder that is none, vanished or read-only, no room.
// SPDX-License-Identifier: MIT
#include <cerrno>
#include <csignal>
#include <sys/resource.h>

#include "tests/support/refused_run.hpp"

using namespace evictlab;
using namespace evictlab::test;
using state::RunStore;
namespace fs = std::filesystem;

TEST_CASE("A run that is not there, and one that is") {
    const TemporaryFolder folder;
    const auto file = folder / "evolution.json";
    CHECK_THAT(refused_resume(file),
               ContainsSubstring("there is no '" + file.string() + "'") && ContainsSubstring("start one there"));
    CHECK(fs::is_empty(folder.path));
    make_run(file, 2);
    const auto before = files_in(folder.path);
    const auto again = [&] { return refusal([&] { RunStore::create(file); }); };
    CHECK_THAT(again(),
               ContainsSubstring("exists already and is not overwritten") && ContainsSubstring("resume that run"));
    CHECK(files_in(folder.path) == before);
    put(file, "damaged");
    CHECK_THAT(again(), ContainsSubstring("exists already"));
    fs::remove(file);
    CHECK_THAT(again(), ContainsSubstring(".previous' exists already"));
    fs::remove(folder / "evolution.json.previous");
    CHECK_THAT(again(), ContainsSubstring("there is a journal") && ContainsSubstring("move the journal away"));
    CHECK(bytes_of(file) == "");
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
