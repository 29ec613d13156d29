// A run's files when all is well: what is saved is what is read, whatever the process died of between two saves.
// SPDX-License-Identifier: MIT
#include "state/store.hpp"

#include <algorithm>
#include <cerrno>

#include "tests/support/catch.hpp"
#include "tests/support/saved_run.hpp"

using namespace evictlab;
using namespace evictlab::test;
using state::RunStore;

TEST_CASE("A saved generation is read again, by its owner and by readers") {
    const TemporaryFolder folder;
    const auto file = folder / "evolution.json";
    make_run(file, 7);
    CHECK(state::read_state(file) == made_up_content(7));
    CHECK(journal_of(file) == made_up_journal(7));
    const RunStore store = RunStore::resume(file);
    CHECK(store.content() == made_up_content(7));
    CHECK(store.journal_lines() == made_up_journal(7).size());
    CHECK(store.journal_bytes() == std::filesystem::file_size(folder / "evolution.json.journal"));
}

TEST_CASE("The same content gives the same bytes, in one go or with a stop in between") {
    const TemporaryFolder folder;
    make_run(folder / "one.json", 9);
    make_run(folder / "two.json", 4);
    for (int generation = 5; generation <= 9; ++generation) {
        auto store = RunStore::resume(folder / "two.json");
        save_generation(store, generation);
    }
    CHECK(bytes_of(folder / "one.json") == bytes_of(folder / "two.json"));
    CHECK(bytes_of(folder / "one.json.journal") == bytes_of(folder / "two.json.journal"));
    CHECK(bytes_of(folder / "one.json.previous") == bytes_of(folder / "two.json.previous"));
}

TEST_CASE("The generation before is kept and can be gone on with") {
    const TemporaryFolder folder;
    const auto file = folder / "evolution.json";
    make_run(file, 6);
    CHECK(state::read_state(folder / "evolution.json.previous") == made_up_content(5));
    std::filesystem::copy_file(folder / "evolution.json.previous", file,
                               std::filesystem::copy_options::overwrite_existing);
    auto store = RunStore::resume(file);
    CHECK(store.content() == made_up_content(5));
    save_generation(store, 6);
    CHECK(journal_of(file) == made_up_journal(6));
}

TEST_CASE("Journal lines of a generation that was not saved are cut, and not seen by readers") {
    const TemporaryFolder folder;
    const auto file = folder / "evolution.json";
    make_run(file, 7);
    const std::string whole = bytes_of(folder / "evolution.json.journal");
    put(folder / "evolution.json.journal", whole + "{\"id\":\"g8-s0\"}\n{\"id\":\"g8-");
    CHECK(journal_of(file) == made_up_journal(7));
    CHECK(RunStore::resume(file).content() == made_up_content(7));
    CHECK(bytes_of(folder / "evolution.json.journal") == whole);
}

TEST_CASE("A state file that was only laid out anew is the same run") {
    const TemporaryFolder folder;
    const auto file = folder / "evolution.json";
    make_run(file, 3);
    put(file, state::Json::parse(bytes_of(file)).dump(4));
    CHECK(RunStore::resume(file).content() == made_up_content(3));
}

TEST_CASE("A run that ends before its first save leaves nothing behind") {
    const TemporaryFolder folder;
    const auto file = folder / "evolution.json";
    { const RunStore store = RunStore::create(file); }
    CHECK(std::filesystem::is_empty(folder.path));
    CHECK_NOTHROW(RunStore::create(file));
}

TEST_CASE("A run that was killed before its first save can be begun again, or gone on with from nothing") {
    const TemporaryFolder folder;
    const auto file = folder / "evolution.json";
    std::string empty;
    {
        const RunStore store = RunStore::create(file);
        empty = bytes_of(file);
    }
    put(file, empty);
    put(folder / "evolution.json.journal", "{\"id\":\"g1-s0\"}\n{\"id");
    SECTION("begun again") {
        auto store = RunStore::create(file);
        save_generation(store, 1);
    }
    SECTION("gone on with") {
        auto store = RunStore::resume(file);
        CHECK(store.content().is_null());
        save_generation(store, 1);
    }
    CHECK(journal_of(file) == made_up_journal(1));
}

TEST_CASE("A link to a run is that run") {
    const TemporaryFolder folder;
    make_run(folder / "evolution.json", 2);
    std::filesystem::create_directory(folder / "links");
    std::filesystem::create_symlink(folder / "evolution.json", folder / "links/latest.json");
    {
        auto store = RunStore::resume(folder / "links/latest.json");
        CHECK_THROWS_AS(RunStore::resume(folder / "evolution.json"), state::StateError);
        save_generation(store, 3);
    }
    CHECK(std::filesystem::is_symlink(folder / "links/latest.json"));
    CHECK(state::read_state(folder / "evolution.json") == made_up_content(3));
}

TEST_CASE("Short and interrupted system calls change nothing") {
    struct Stuttering : state::FileOps {
        int calls = 0;
        bool interrupted() {
            errno = EINTR;
            return ++calls % 2 == 0;
        }
        ssize_t read(int descriptor, void* bytes, std::size_t size) override {
            return interrupted() ? -1 : FileOps::read(descriptor, bytes, std::min<std::size_t>(size, 7));
        }
        ssize_t write(int descriptor, const void* bytes, std::size_t size) override {
            return interrupted() ? -1 : FileOps::write(descriptor, bytes, std::min<std::size_t>(size, 5));
        }
        int fsync(int descriptor) override { return interrupted() ? -1 : FileOps::fsync(descriptor); }
        int lock(int descriptor) override { return interrupted() ? -1 : FileOps::lock(descriptor); }
    } stuttering;
    const TemporaryFolder folder;
    make_run(folder / "smooth.json", 3);
    {
        auto store = RunStore::create(folder / "stutter.json", stuttering);
        for (int generation = 1; generation <= 3; ++generation) save_generation(store, generation);
    }
    CHECK(RunStore::resume(folder / "stutter.json", stuttering).content() == made_up_content(3));
    CHECK(bytes_of(folder / "stutter.json") == bytes_of(folder / "smooth.json"));
    CHECK(bytes_of(folder / "stutter.json.journal") == bytes_of(folder / "smooth.json.journal"));
}

namespace {

struct NoLinks : state::FileOps {
    bool renames = true;
    int link(const Path&, const Path&) override {
        errno = EPERM;
        return -1;
    }
    int rename(const Path& from, const Path& to) override {
        errno = EIO;
        return !renames && from.extension() == ".tmp" ? -1 : FileOps::rename(from, to);
    }
};

} // namespace

TEST_CASE("Without hard links a save that fails leaves the generation before in its place, however often it is tried") {
    NoLinks no_links;
    const TemporaryFolder folder;
    const auto file = folder / "evolution.json";
    make_run(file, 3);
    auto store = RunStore::resume(file, no_links);
    no_links.renames = false;
    for (int tries = 0; tries < 3; ++tries) {
        CHECK_THROWS_WITH(save_generation(store, 4), ContainsSubstring("the one before is intact"));
        CHECK(state::read_state(file) == made_up_content(3));
    }
    no_links.renames = true;
    save_generation(store, 4);
    CHECK(state::read_state(file) == made_up_content(4));
    CHECK(state::read_state(folder / "evolution.json.previous") == made_up_content(3));
}

TEST_CASE("A file system without hard links keeps the generation before, too") {
    NoLinks no_links;
    const TemporaryFolder folder;
    const auto file = folder / "evolution.json";
    auto store = RunStore::create(file, no_links);
    for (int generation = 1; generation <= 3; ++generation) save_generation(store, generation);
    CHECK(state::read_state(file) == made_up_content(3));
    CHECK(state::read_state(folder / "evolution.json.previous") == made_up_content(2));
}
