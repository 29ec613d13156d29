// The program ends when it is asked to, whatever it reads or waits for, and what the system refuses it is an error that
// is told: pipes without writers, endless and huge files, limits on the size of files and on memory.
// SPDX-License-Identifier: MIT
#include <sys/stat.h>

#include "tests/support/catch.hpp"
#include "tests/support/process.hpp"
#include "tests/support/temporary_folder.hpp"
#include "tests/support/trace_writer.hpp"

using namespace evictlab;
using namespace evictlab::test;
namespace fs = std::filesystem;

namespace {

/// Both signals are 0x4002 in a mask. Whatever does not end within some minutes is killed.
const std::string signal_once_it_listens = R"sh(; pid=$!
caught() { sed -n 's/^SigCgt:[[:space:]]*//p' /proc/$pid/status; }
until [ $((0x$(caught) & 0x4002)) = $((0x4002)) ]; do sleep 0.02; done
sleep 0.3
kill -s $signal $pid
looks=0
while grep -qs '^State:[[:space:]]*[^Z[:space:]]' /proc/$pid/status && [ $((looks += 1)) -lt 6000 ]; do sleep 0.02; done
kill -KILL $pid 2>/dev/null
wait $pid
)sh";

struct Folder {
    TemporaryFolder folder;

    Outcome run(const std::string& command) const { return shell(command, folder.path.string()); }
    fs::path operator/(const char* name) const { return folder / name; }

    /// The program gets the signal once it listens to some and mostly waits, and ends by itself: 130.
    void stops(const std::string& arguments, const char* signal = "TERM") const {
        INFO(arguments);
        const Outcome outcome =
            run("'" EVICTLAB_BINARY "' " + arguments + " & signal=" + signal + signal_once_it_listens);
        CHECK(outcome.code == 130);
        CHECK_THAT(outcome.err, ContainsSubstring("evictlab: stopped"));
    }
};

const std::string small_bench = "evictlab bench --suite micro --patterns 1 --seq-len 16 --layers 1 --scorers random ";

} // namespace

TEST_CASE("a signal ends a wait for a pipe that nobody writes to") {
    const Folder files;
    for (const char* name : {"fifo", "fifo.formula", "fifo.json"}) REQUIRE(::mkfifo((files / name).c_str(), 0600) == 0);
    files.stops("formula check fifo.formula");
    files.stops("report --bench fifo.json", "INT");
    files.stops("bench --suite micro --scorers fifo.formula");
    files.stops("report --bench fifo --output l.md");
    // Where a pipe cannot be meant it is refused at once.
    for (const char* command : {"trace info fifo", "status fifo", "check fifo", "evolve --state fifo --resume"}) {
        const Outcome outcome = files.run(std::string("evictlab ") + command);
        INFO(command << ": " << outcome.err);
        CHECK((outcome.code == 1 || outcome.code == 2));
    }
}

TEST_CASE("a signal ends the hashing of a file that is larger than can be read") {
    const Folder files;
    fs::create_directory(files / "suite");
    write_suite(files / "suite", {TraceShape{}});
    fs::resize_file(files / "suite/0.safetensors", std::uintmax_t{1} << 42); // sparse: takes no room on the disk
    files.stops("trace verify ./suite");
    files.stops("trace verify ./suite", "INT");
}

TEST_CASE("devices are no files, and pipes with a writer are") {
    const Folder files;
    for (const char* command : {"report --bench /dev/zero", "formula check /dev/zero", "trace info /dev/zero",
                                "status /dev/zero", "report --verdict /dev/random --bench /dev/null"}) {
        const Outcome outcome = files.run(std::string("evictlab ") + command);
        INFO(command << ": " << outcome.err);
        CHECK((outcome.code == 1 || outcome.code == 2));
    }
    CHECK(files.run("echo 'position + 1' | evictlab formula check /dev/stdin").code == 0);
    CHECK(files.run(small_bench + "--format json --output good.json").code == 0);
    CHECK(files.run("cat good.json | evictlab report --bench /dev/stdin").code == 0);
    REQUIRE(::mkfifo((files / "late.formula").c_str(), 0600) == 0);
    CHECK(files.run("{ sleep 0.3; echo position > late.formula; } & evictlab formula check late.formula").code == 0);
    const Outcome endless = files.run("yes | evictlab formula check /dev/stdin");
    CHECK(endless.code == 2);
    CHECK_THAT(endless.err, ContainsSubstring("larger than 4 MiB"));
}

TEST_CASE("a limit on the size of files is an error, and leaves nothing behind") {
    const Folder files;
    const std::string limited = "ulimit -f 1; ";
    const Outcome file = files.run(limited + small_bench + "--format json --output out.json");
    CHECK(file.code == 1);
    CHECK_THAT(file.err, ContainsSubstring("cannot write out.json: File too large"));
    const Outcome out = files.run(limited + "evictlab plugins columns > out.txt");
    CHECK(out.code == 1);
    CHECK_THAT(out.err, ContainsSubstring("cannot write to standard output: File too large"));
    fs::remove(files / "out.txt");
    const Outcome run = files.run(limited + "evictlab evolve --suite micro --patterns 1 --seq-len 16 --layers 1 "
                                            "--population 4 --tuned 0 --generations 1 --state run.json");
    CHECK(run.code == 1);
    CHECK_THAT(run.err, ContainsSubstring("File too large"));
    CHECK_FALSE(fs::exists(files / "out.json"));
    for (const auto& left : fs::directory_iterator(files.folder.path))
        CHECK_THAT(left.path().string(), !ContainsSubstring(".writing"));
    const Outcome full = files.run("evictlab plugins columns > /dev/full");
    CHECK(full.code == 1);
    CHECK_THAT(full.err, ContainsSubstring("cannot write to standard output: No space left on device"));
}

TEST_CASE("with too little memory the program says so, also before it has begun") {
    if (!std::string(EVICTLAB_SANITIZE).empty()) return; // they take the whole address space
    const Folder files;
    for (int megabytes = 12; megabytes <= 256; megabytes += megabytes < 64 ? 2 : 16) {
        const Outcome outcome = files.run("ulimit -c 0; ulimit -v " + std::to_string(megabytes * 1024) +
                                          "; '" EVICTLAB_BINARY "' --version");
        INFO(megabytes << " MiB: " << outcome.code << ' ' << outcome.err);
        CHECK((outcome.code == 0 || !outcome.err.empty()));
        CHECK_THAT(outcome.err, !ContainsSubstring("terminate called"));
    }
}
