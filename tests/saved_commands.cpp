// The commands that a state names are run by --resume where this user typed them, and by nobody else's file.
// SPDX-License-Identifier: MIT
#include <cstdlib>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text/quoting.hpp"
#include "state/document.hpp"
#include "state/known_commands.hpp"
#include "tests/support/acting_process.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/process.hpp"

using namespace evictlab;
using namespace evictlab::test;
using state::KnownCommands;
namespace fs = std::filesystem;

namespace {

const std::string program = "'" EVICTLAB_BINARY "'"; // by its own name, as `env` runs it

/// A run with a judge, begun by the command line; what it remembers goes into a folder of the test's own.
struct JudgedRun {
    ActingProcess judge{acting_judge};
    fs::path folder = judge.folder.path, file = folder / "run.json";
    std::string home = "XDG_STATE_HOME=" + (folder / "home").string() + " ";

    Outcome resume(const std::string& more, const std::string& environment = "") const {
        return shell((environment.empty() ? home : environment) + program +
                         " evolve --state run.json --resume --quiet " + more,
                     folder.string());
    }
    Outcome begin() const {
        return shell(home + program +
                         " evolve --suite micro --patterns 1 --seq-len 16 --layers 1 --population 8 --quiet "
                         "--state run.json --start recent_attn --generations 1 --verdict " +
                         text::shell_quoted(judge.command("is plain")),
                     folder.string());
    }
};

} // namespace

TEST_CASE("the user who typed a command resumes without typing it again, and is shown it") {
    const JudgedRun run;
    const auto begun = run.begin();
    INFO(begun.err);
    REQUIRE(begun.code == 0);
    const auto outcome = run.resume("--generations 2");
    CHECK(outcome.code == 0);
    CHECK_THAT(outcome.err, ContainsSubstring("names this judge: " + run.judge.command("is plain")));
}

TEST_CASE("a state from elsewhere runs nothing before somebody says so") {
    const JudgedRun run;
    REQUIRE(run.begin().code == 0);
    std::string environment;
    SECTION("another home") { environment = "XDG_STATE_HOME=" + (run.folder / "other").string() + " "; }
    SECTION("no home") { environment = "env -u XDG_STATE_HOME -u HOME "; }
    SECTION("a home that cannot be") { environment = "env -u XDG_STATE_HOME HOME=/dev/null "; }
    SECTION("a home that others can write") {
        REQUIRE(::chmod((run.folder / "home/evictlab/commands").c_str(), 0666) == 0);
    }
    SECTION("another command in the state") {
        state::Document document = state::decode(bytes_of(run.file), run.file);
        document.run["outside"]["judge"] = "touch ran; " + run.judge.command("is plain");
        put(run.file, encode(document, run.file));
    }
    SECTION("another user's file") {
        if (::geteuid() != 0) return;
        REQUIRE(::chown(run.file.c_str(), 12345, 12345) == 0);
    }
    SECTION("another folder") {
        fs::create_directory(run.folder / "moved");
        for (const char* side : {"", ".journal", ".verdicts"})
            fs::copy_file(run.file.string() + side, run.folder / "moved/run.json" += side);
        const auto outcome =
            shell(run.home + program + " evolve --state moved/run.json --resume --generations 2 --quiet",
                  run.folder.string());
        CHECK(outcome.code == 2);
        CHECK_THAT(outcome.err, ContainsSubstring("give --verdict again"));
    }
    run.judge.log();
    const std::string before = bytes_of(run.file);
    const auto outcome = run.resume("--generations 2", environment);
    if (!fs::exists(run.folder / "moved")) {
        CHECK(outcome.code == 2);
        CHECK_THAT(outcome.err, ContainsSubstring("names this judge: ") && ContainsSubstring("give --verdict again") &&
                                    ContainsSubstring("--trust-commands"));
        CHECK(run.judge.log().empty());
        CHECK(!fs::exists(run.folder / "ran"));
        CHECK(bytes_of(run.file) == before);
        const auto trusted = run.resume("--generations 2 --trust-commands", environment);
        INFO(trusted.err);
        CHECK(trusted.code == 0);
    }
}

TEST_CASE("a command that is typed again is trusted, with or without a place to remember it") {
    const JudgedRun run;
    REQUIRE(run.begin().code == 0);
    const std::string typed = "--generations 2 --verdict " + text::shell_quoted(run.judge.command("is plain"));
    const auto outcome = run.resume(typed, "env -u XDG_STATE_HOME -u HOME ");
    CHECK(outcome.code == 0);
    CHECK_THAT(outcome.err, ContainsSubstring("is not remembered, because") &&
                                ContainsSubstring("--resume will want --verdict again"));
}

TEST_CASE("what is remembered is for one user's eyes, one folder and one command") {
    const TemporaryFolder folder;
    const fs::path file = folder / "home/evictlab/commands", state = folder / "run.json";
    fs::create_directory(folder / "home");
    fs::create_directory(folder / "other");
    put(state, "");
    put(folder / "other/run.json", "");
    const KnownCommands known(file);
    CHECK_THAT(known.doubt(state, "judge"), ContainsSubstring("it is not among those that you typed"));
    CHECK(known.remember(state, "judge").empty());
    CHECK(known.remember(state, "judge").empty());
    CHECK(bytes_of(file).size() == 65);
    CHECK(known.doubt(state, "judge").empty());
    CHECK(!known.doubt(state, "judge ").empty());
    CHECK(!known.doubt(folder / "other/run.json", "judge").empty());
    struct stat status {};
    REQUIRE(::stat(file.c_str(), &status) == 0);
    CHECK((status.st_mode & 0777) == 0600);
    fs::rename(file, folder / "elsewhere");
    fs::create_symlink(folder / "elsewhere", file);
    CHECK(!known.doubt(state, "judge").empty());
    CHECK(!known.remember(state, "other").empty());
    CHECK(bytes_of(folder / "elsewhere").size() == 65);
}
