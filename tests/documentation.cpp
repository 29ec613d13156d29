// Commands in the documentation. What stands in ```sh blocks is typed, a page's blocks one after another in one empty
// folder; below `<!-- not run: WHY -->`, where a model, the network or minutes are needed, the programs, scripts,
// options and files that the commands name must exist. tools/tests/test_documentation.py has the commands of tools/.
// SPDX-License-Identifier: MIT
#include <sstream>

#include "tests/support/catch.hpp"
#include "tests/support/markdown.hpp"
#include "tests/support/process.hpp"
#include "tests/support/temporary_folder.hpp"

using namespace evictlab::test;
namespace fs = std::filesystem;

namespace {

const fs::path root = EVICTLAB_SOURCE_DIR;

/// Stands for a program: the words that name something of the repository must name what is there, and evictlab and the
/// scripts must know their options. What is written (--output) may be new.
constexpr const char* stand_in = R"sh(#!/bin/sh
name=${0##*/} last=
for word; do
    case $last:$word in
    --output:* | --out:* | --plot:*) ;;
    *:docs/* | *:suites/* | *:tools/* | *:plugins/* | *:speed/* | *:tests/* | *:examples/*)
        [ -e "$root/$word" ] || { echo "$name: there is no $word" >&2; exit 1; } ;;
    esac
    case $0:$word in
    *scripts/*:--*)
        grep -qF -e "$word" "$root/scripts/$name" || { echo "scripts/$name has no $word" >&2; exit 1; } ;;
    esac
    last=$word
done
[ "$name" = evictlab ] || exit 0
help=$("$binary" "$@" --help) || exit 1
case $1 in
plugins | trace | formula)
    echo "$help" | grep -qw -e "$2" || { echo "evictlab $1 knows no $2" >&2; exit 1; } ;;
esac
)sh";

/// Programs that are no part of the repository, and tools/'s.
constexpr const char* other_programs[] = {"apt",
                                          "cargo",
                                          "cmake",
                                          "ctest",
                                          "pip",
                                          "python3",
                                          "sbatch",
                                          "ssh",
                                          "evictlab-calibrate",
                                          "evictlab-capture",
                                          "evictlab-corpus",
                                          "evictlab-farm",
                                          "evictlab-memory",
                                          "evictlab-press-cost",
                                          "evictlab-tasks",
                                          "evictlab-ablation",
                                          "evictlab-llama",
                                          "evictlab-tune",
                                          "evictlab-verdict",
                                          "evictlab-propose"};

void stand_in_at(const fs::path& program) {
    fs::create_directories(program.parent_path());
    std::ofstream(program) << stand_in;
    fs::permissions(program, fs::perms::owner_all);
}

/// A folder in which each command of the repository is a stand-in.
void furnish(const fs::path& folder) {
    for (const char* program : other_programs) {
        stand_in_at(folder / "stand_ins" / program);
        stand_in_at(folder / "venv" / "bin" / program);
    }
    for (const char* program : {"stand_ins", "build/release/bin"}) stand_in_at(folder / program / "evictlab");
    for (const auto& script : fs::directory_iterator(root / "scripts"))
        if (script.is_regular_file()) stand_in_at(folder / "scripts" / script.path().filename());
    for (const auto& each : fs::directory_iterator(root / "speed"))
        if (each.path().extension() == ".cpp")
            stand_in_at(folder / "build/release/bin" / each.path().stem());
        else if (each.is_regular_file() && each.path().extension().empty())
            stand_in_at(folder / "speed" / each.path().filename());
    for (const auto& each : fs::directory_iterator(root / "tests"))
        if (each.path().extension() == ".cpp")
            stand_in_at(folder / "build/debug/bin" / ("test_" + each.path().stem().string()));
}

Outcome name(const ShellBlock& block) {
    const TemporaryFolder folder;
    furnish(folder.path);
    return shell("export root='" + root.string() + "' binary='" EVICTLAB_BINARY "' PATH=\"$PWD/stand_ins:$PATH\"\n" +
                     "unset -f evictlab; cd() { :; }; set -e\n" + block.text,
                 folder.path.string());
}

/// A page's blocks, where it lies among the repository's suites and tools.
void type(const fs::path& page, const TemporaryFolder& folder) {
    for (const char* given : {"suites", "tools", "examples"})
        fs::create_directory_symlink(root / given, folder / given);
    for (const ShellBlock& block : shell_blocks(bytes_of(page))) {
        if (!block.typed) continue;
        const Outcome outcome = shell("set -e\n" + block.text, folder.path.string());
        INFO(page.string() << ":" << block.line << "\n" << block.text << outcome.out << outcome.err);
        REQUIRE(outcome.code == 0);
    }
}

} // namespace

TEST_CASE("commands are what stands in blocks of sh, and a note before one says that it is not run") {
    const auto blocks =
        shell_blocks("evictlab no\n```sh\nevictlab a\n```\n<!-- not run: why -->\n```sh\nevictlab b \\\n"
                     "  c\n```\n```json\nno\n```\n");
    REQUIRE(blocks.size() == 2);
    CHECK((blocks[0].text == "evictlab a\n" && blocks[0].typed && blocks[0].line == 3));
    CHECK((blocks[1].text == "evictlab b \\\n  c\n" && !blocks[1].typed));
    CHECK(commands_outside_of_shell_blocks(
              "```sh\nevictlab a\n```\n```\nevictlab b\n```\n    $ scripts/c\n  evictlab d\n") ==
          std::vector<std::string>{"evictlab b", "    $ scripts/c"});
    CHECK(code_spans("`evictlab a` and `evictlab b --c`, `evictlab`", "evictlab") ==
          std::vector<std::string>{"evictlab a", "evictlab b --c"});
}

TEST_CASE("a command that is not run is refused where what it names is not there") {
    const auto code = [](const std::string& text) { return name({1, text, false}).code; };
    CHECK(code("evictlab bench --suite never_made --threads 2 > out\nscripts/fuzz --quick # a comment\n") == 0);
    CHECK(code("X=1 build/release/bin/evictlab trace info suites/smollm2/suite.json && cd nowhere\n") == 0);
    CHECK(code("evictlab-tune model --output docs/new.json\n") == 0);
    CHECK(code("evictlab bench --no-such-option\n") != 0);
    CHECK(code("evictlab no-such-command\n") != 0);
    CHECK(code("evictlab plugins no-such-action\n") != 0);
    CHECK(code("scripts/fuzz --no-such-option\n") != 0);
    CHECK(code("scripts/no-such-script\n") != 0);
    CHECK(code("no-such-program\n") != 0);
    CHECK(code("evictlab-tune docs/no-such-file\nevictlab bench\n") != 0);
}

TEST_CASE("every command of the documentation stands in a block of sh") {
    for (const auto& page : pages())
        for (const auto& line : commands_outside_of_shell_blocks(bytes_of(page))) {
            INFO(page.string());
            CHECK(line.empty());
        }
}

TEST_CASE("every command of the README works as it stands there") {
    const TemporaryFolder folder;
    type(root / "README.md", folder);
    const std::string leaderboard = bytes_of(folder / "leaderboard.md");
    CHECK_THAT(leaderboard, ContainsSubstring("| bound | `oracle` |"));
    CHECK_THAT(leaderboard, ContainsSubstring("`champion "));
}

TEST_CASE("every command of the other pages works as it stands there") {
    for (const auto& page : pages()) {
        if (page.filename() == "README.md" && page.parent_path() == root) continue;
        const TemporaryFolder folder;
        type(page, folder);
    }
}

TEST_CASE("what commands name that are not run is there") {
    for (const auto& page : pages())
        for (const ShellBlock& block : shell_blocks(bytes_of(page))) {
            if (block.typed) continue;
            const Outcome outcome = name(block);
            INFO(page.string() << ":" << block.line << "\n" << block.text << outcome.out << outcome.err);
            CHECK(outcome.code == 0);
        }
}

TEST_CASE("commands within a sentence, and their options, are the program's") {
    for (const auto& page : pages())
        for (const auto& span : code_spans(bytes_of(page), "evictlab")) {
            std::istringstream words(span);
            std::string program, command, help;
            words >> program >> command;
            INFO(page.string() << ": " << span);
            if (!command.starts_with('-'))
                help = shell("evictlab " + command + " --help").out;
            else
                help = "--version --help";
            CHECK_FALSE(help.empty());
            for (std::string word; words >> word;)
                if (word.starts_with("--")) CHECK_THAT(help, ContainsSubstring(word.substr(0, word.find('='))));
        }
}
