// Whatever lies at one of a run's names and is not its own is refused by name and stays as it is.
// SPDX-License-Identifier: MIT
#include <cerrno>
#include <sys/stat.h>

#include "state/answer_journal.hpp"
#include "tests/support/refused_run.hpp"

using namespace evictlab;
using namespace evictlab::test;
using state::RunStore;
namespace fs = std::filesystem;

namespace {

constexpr const char* side_names[] = {".lock", ".tmp", ".journal", ".previous", ".previous.tmp"};

/// Everything below a folder: kind, bytes, what links point at.
std::map<std::string, std::string> tree(const fs::path& folder) {
    std::map<std::string, std::string> all;
    for (const auto& entry : fs::recursive_directory_iterator(folder)) {
        std::string& what = all[entry.path().string()];
        what = std::to_string(static_cast<int>(entry.symlink_status().type())) + " ";
        if (entry.is_symlink())
            what += fs::read_symlink(entry.path()).string();
        else if (entry.is_regular_file())
            what += bytes_of(entry.path());
    }
    return all;
}

struct Foreign {
    const char* name;
    void (*put_at)(const fs::path& place, const fs::path& elsewhere);
};

const Foreign foreign[] = {
    {"a text",
     [](const fs::path& place, const fs::path&) { put(place, "The woods decay, the woods decay and fall,\n"); }},
    {"a text that begins alike",
     [](const fs::path& place, const fs::path&) { put(place, "process of elimination\n"); }},
    {"a link", [](const fs::path& place, const fs::path& elsewhere) { fs::create_symlink(elsewhere, place); }},
    {"a link to nothing", [](const fs::path& place, const fs::path&) { fs::create_symlink("nowhere", place); }},
    {"a folder", [](const fs::path& place, const fs::path&) { fs::create_directory(place); }},
    {"a pipe", [](const fs::path& place, const fs::path&) { REQUIRE(::mkfifo(place.c_str(), 0600) == 0); }},
    {"a second name", [](const fs::path& place, const fs::path& elsewhere) { fs::create_hard_link(elsewhere, place); }},
    {"a link to the null device",
     [](const fs::path& place, const fs::path&) { fs::create_symlink("/dev/null", place); }},
};

} // namespace

TEST_CASE("What is not a run's own stays as it is, and the message names it, in a new run and on resume") {
    for (const char* side : side_names)
        for (const Foreign& what : foreign)
            for (const bool resumed : {false, true}) {
                if (resumed && side == std::string(".journal")) continue; // there is the run's
                const TemporaryFolder folder;
                const fs::path file = folder / "poetry", place = file.string() + side, elsewhere = folder / "mine";
                INFO(what.name << " at " << side << (resumed ? ", resumed" : ""));
                put(elsewhere, "my notes\n");
                if (resumed) make_run(file, 1);
                fs::remove(place);
                what.put_at(place, elsewhere);
                const auto before = tree(folder.path);
                const std::string said = refusal([&] { resumed ? RunStore::resume(file) : RunStore::create(file); });
                CHECK_THAT(said, ContainsSubstring("'" + place.string() + "'"));
                CHECK(tree(folder.path) == before);
            }
}

TEST_CASE("The state's own name may be a link to a run, and nothing else that is no file") {
    const TemporaryFolder folder;
    const fs::path file = folder / "poetry";
    fs::create_symlink(folder / "nowhere", file);
    const auto before = tree(folder.path);
    CHECK_THAT(refusal([&] { RunStore::create(file); }), ContainsSubstring("'" + file.string() + "'"));
    CHECK(tree(folder.path) == before);
    fs::remove(file);
    REQUIRE(::mkfifo(file.c_str(), 0600) == 0);
    CHECK_THAT(refusal([&] { RunStore::create(file); }), ContainsSubstring("exists already"));
    CHECK_THAT(refusal([&] { RunStore::resume(file); }), ContainsSubstring("no regular file"));
    CHECK(fs::is_fifo(file));
}

TEST_CASE("A new run that ends before its first save takes away what it made, and nothing that was there") {
    const TemporaryFolder folder;
    const fs::path file = folder / "run.json";
    const std::string lock = "process 12 on somewhere since 2026-01-31T12:00:00Z\n00\n";
    put(file.string() + ".lock", lock); // of a run that ended
    put(file.string() + ".journal", "");
    const auto before = tree(folder.path);
    { const RunStore store = RunStore::create(file); }
    CHECK(tree(folder.path) == before);
}

TEST_CASE("A save that fails keeps the generation before, and the one before that") {
    struct NoReplacing : state::FileOps {
        bool refuses = false, links = true;
        int rename(const Path& from, const Path& to) override {
            if (!refuses || from.extension() != ".tmp" || to.extension() != ".json") return FileOps::rename(from, to);
            errno = EIO;
            return -1;
        }
        int link(const Path& from, const Path& to) override {
            if (links) return FileOps::link(from, to);
            errno = EPERM;
            return -1;
        }
    };
    for (const bool links : {true, false})
        for (const int saved : {1, 2, 5}) {
            INFO((links ? "with" : "without") << " hard links, after " << saved);
            const TemporaryFolder folder;
            const fs::path file = folder / "evolution.json";
            NoReplacing disk;
            disk.links = links;
            auto store = RunStore::create(file, disk);
            for (int generation = 1; generation <= saved; ++generation) save_generation(store, generation);
            disk.refuses = true;
            for (int tries = 0; tries < 3; ++tries)
                CHECK_THAT(refused_save(store, saved + 1), ContainsSubstring("the one before is intact"));
            CHECK(state::read_state(file) == made_up_content(saved));
            if (saved > 1) CHECK(state::read_state(file.string() + ".previous") == made_up_content(saved - 1));
            disk.refuses = false;
            save_generation(store, saved + 1);
            CHECK(state::read_state(file.string() + ".previous") == made_up_content(saved));
            for (const char* left : {".tmp", ".previous.tmp"}) CHECK(!fs::exists(file.string() + left));
        }
}

TEST_CASE("What a killed save leaves beside a run is cleared, and what it put aside is put back") {
    const SavedRun run;
    const std::string previous = bytes_of(run.previous), half = bytes_of(run.file).substr(0, 200);
    put(run.file.string() + ".tmp", GENERATE_COPY(half, std::string(), std::string(100, '\0'), half.substr(0, 5)));
    fs::rename(run.previous, run.file.string() + ".previous.tmp");
    CHECK_NOTHROW(RunStore::resume(run.file));
    CHECK(bytes_of(run.previous) == previous);
    CHECK(!fs::exists(run.file.string() + ".tmp"));
    CHECK(!fs::exists(run.file.string() + ".previous.tmp"));
}

TEST_CASE("A file of answers is a run's own, too") {
    using state::AnswerJournal;
    for (const Foreign& what : foreign) {
        INFO(what.name);
        const TemporaryFolder folder;
        const fs::path file = folder / "poetry.verdicts";
        put(folder / "mine", "my notes\n");
        what.put_at(file, folder / "mine");
        const auto before = tree(folder.path);
        CHECK_THAT(refusal([&] { AnswerJournal::create(file); }), ContainsSubstring("'" + file.string() + "'"));
        CHECK_THAT(refusal([&] { AnswerJournal::resume(file); }), ContainsSubstring("'" + file.string() + "'"));
        CHECK(tree(folder.path) == before);
    }
    const TemporaryFolder folder;
    const fs::path file = folder / "run.verdicts";
    AnswerJournal::create(file).remember("a", 1);
    const std::string answers = bytes_of(file);
    CHECK_THAT(refusal([&] { AnswerJournal::create(file); }), ContainsSubstring("the answers of an earlier run"));
    CHECK(bytes_of(file) == answers);
}

TEST_CASE("Commands in messages can be typed as they stand") {
    const TemporaryFolder folder;
    fs::create_directory(folder / "it's $(here)");
    const fs::path file = folder / "it's $(here)/a run.json";
    make_run(file, 3);
    put(file, "{");
    const std::string said = refused_resume(file);
    const std::string mark = "To go on from it: ";
    REQUIRE(said.find(mark) != said.npos);
    std::string command = said.substr(said.find(mark) + mark.size());
    const std::size_t next = command.find("; then resume the run");
    REQUIRE(next != command.npos);
    REQUIRE(std::system(command.substr(0, next).c_str()) == 0);
    CHECK(RunStore::resume(file).content() == made_up_content(2));
}
