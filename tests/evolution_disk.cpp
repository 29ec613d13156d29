// Evolution on a disk that goes wrong while it runs: full, read-only, gone. The run ends with a true message, and goes
// on to the same bits once the cause is removed. SPDX-License-Identifier: MIT
#include <cerrno>
#include <fcntl.h>
#include <unistd.h>

#include "evolution/run.hpp"
#include "framework/fitness/rescore_fitness.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/refused_run.hpp"
#include "tests/support/small_runs.hpp"

using namespace evictlab;
using namespace evictlab::test;
namespace fs = std::filesystem;
using state::RunStore;

namespace {

class SmallRun {
public:
    void go(RunStore& store, const evolution::RunHooks& hooks = {}) const {
        evolution::RunSetup setup;
        setup.config.start = "0.6*recent_attn + 0.4*cumulative_attn";
        setup.config.start_formula = formula::parse(setup.config.start);
        setup.config.population = 8;
        setup.config.tuned = 0;
        setup.identity = identity_on(suite_);
        setup.limits.generations = 4;
        evolution::run_evolution(setup, fitness_, store, hooks);
    }
    void go_on(const fs::path& file) const {
        auto store = RunStore::resume(file);
        go(store);
    }
    /// Does something to the disk once generation 1 is saved; what the run says of it.
    std::string spoiled(const fs::path& file, const std::function<void()>& spoil,
                        state::FileOps& ops = state::system_file_ops()) const {
        auto store = RunStore::create(file, ops);
        evolution::RunHooks hooks;
        hooks.on_generation = [&](const evolution::RunProgress& progress) {
            if (progress.generation == 1) spoil();
        };
        return refusal([&] { go(store, hooks); });
    }
    std::string undisturbed() const {
        const TemporaryFolder folder;
        auto store = RunStore::create(folder / "run.json");
        go(store);
        return saved_run(folder / "run.json");
    }

private:
    Suite suite_ = small_micro();
    RescoreFitness fitness_{suite_.search_traces(), {0.5}};
};

/// A mount cannot be turned so by hand while a file on it is open for writing, as a run's lock is.
struct TurnsReadOnly : state::FileOps {
    bool read_only = false;

    bool refuses() const {
        errno = EROFS;
        return read_only;
    }
    int open(const Path& path, int flags) override {
        const bool writes = (flags & (O_WRONLY | O_RDWR | O_CREAT)) != 0;
        return writes && refuses() ? -1 : FileOps::open(path, flags);
    }
    int writable(const Path& folder) override { return refuses() ? -1 : FileOps::writable(folder); }
    int rename(const Path& from, const Path& to) override { return refuses() ? -1 : FileOps::rename(from, to); }
    int link(const Path& from, const Path& to) override { return refuses() ? -1 : FileOps::link(from, to); }
    int remove(const Path& path) override { return refuses() ? -1 : FileOps::remove(path); }
};

void fill(const fs::path& filler) {
    const int file = ::open(filler.c_str(), O_WRONLY | O_CREAT, 0600);
    const std::string block(4096, 'x');
    while (::write(file, block.data(), block.size()) > 0) {
    }
    ::close(file);
}

} // namespace

TEST_CASE("A disk that fills up while a run goes on") {
    const SmallDisk disk(512);
    if (!disk.mounted) {
        WARN("skipped: no right to mount a small disk (root has it)");
        return;
    }
    const SmallRun run;
    const fs::path file = disk.folder / "run.json";
    const std::string said = run.spoiled(file, [&] { fill(disk.folder / "filler"); });
    CHECK_THAT(said,
               ContainsSubstring("cannot save a generation to '" + file.string() + "'; the one before is intact") &&
                   ContainsSubstring("No space left on device") && ContainsSubstring("Free space on that disk"));
    CHECK(state::read_state(file).at("generation") == 1);
    fs::remove(disk.folder / "filler");
    run.go_on(file);
    CHECK(saved_run(file) == run.undisturbed());
}

TEST_CASE("A disk that turns read-only while a run goes on, as after an error of its file system") {
    const TemporaryFolder folder;
    const SmallRun run;
    const fs::path file = folder / "run.json";
    TurnsReadOnly disk;
    const std::string said = run.spoiled(
        file, [&] { disk.read_only = true; }, disk);
    CHECK_THAT(said, ContainsSubstring("the one before is intact") && ContainsSubstring("Read-only file system") &&
                         ContainsSubstring("Get the right to read and write"));
    CHECK_THAT(refusal([&] { RunStore::resume(file, disk); }), ContainsSubstring("Read-only file system"));
    CHECK(state::read_state(file, disk).at("generation") == 1); // and can be reported on
    run.go_on(file);
    CHECK(saved_run(file) == run.undisturbed());
}

TEST_CASE("A folder that is moved away while a run goes on") {
    const TemporaryFolder folder;
    const SmallRun run;
    fs::create_directory(folder / "runs");
    const fs::path file = folder / "runs/run.json";
    const std::string said = run.spoiled(file, [&] { fs::rename(folder / "runs", folder / "elsewhere"); });
    CHECK_THAT(said, ContainsSubstring("cannot find '" + (folder / "runs").string()) &&
                         ContainsSubstring("No such file or directory") && ContainsSubstring("put it back"));
    CHECK_FALSE(fs::exists(folder / "runs"));
    fs::rename(folder / "elsewhere", folder / "runs");
    run.go_on(file);
    CHECK(saved_run(file) == run.undisturbed());
}
