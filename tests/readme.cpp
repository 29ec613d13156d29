// The README's commands, run in order as a reader types them: each line of its ```sh and ```console blocks that starts
// with evictlab, echo or cmake, in one empty folder with `evictlab` as the built program.
// SPDX-License-Identifier: MIT
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/catch.hpp"
#include "tests/support/process.hpp"
#include "tests/support/temporary_folder.hpp"

using namespace evictlab::test;

namespace {

bool is_command(const std::string& line) {
    for (const std::string word : {"evictlab ", "echo ", "cmake -S my_scorer ", "cmake --build my_scorer"})
        if (line.starts_with(word)) return true;
    return false;
}

/// What a reader types, without prompts and with continued lines joined.
std::vector<std::string> commands_of(const std::string& markdown) {
    std::vector<std::string> commands;
    std::istringstream stream(markdown);
    bool inside = false;
    std::string unfinished;
    for (std::string line; std::getline(stream, line);) {
        if (line.starts_with("```")) {
            inside = !inside && (line == "```sh" || line == "```console");
            continue;
        }
        if (!inside) continue;
        if (line.starts_with("$ ")) line.erase(0, 2);
        constexpr std::string_view by_path = "build/release/bin/";
        if (line.starts_with(by_path)) line.erase(0, by_path.size());
        line = std::exchange(unfinished, {}) + line;
        if (line.ends_with('\\')) {
            unfinished = line.substr(0, line.size() - 1);
        } else if (is_command(line)) {
            commands.push_back(line);
        }
    }
    return commands;
}

} // namespace

TEST_CASE("commands are found in fenced blocks, prompts and continued lines included") {
    CHECK(
        commands_of("evictlab no\n```sh\nevictlab a\nscripts/test\n```\nevictlab no\n```console\n$ evictlab b \\\n  c\n"
                    "output\n```\n```json\nevictlab no\n```\n```sh\nbuild/release/bin/evictlab d\n```\n") ==
        std::vector<std::string>{"evictlab a", "evictlab b   c", "evictlab d"});
}

TEST_CASE("every command of the README works as it stands there") {
    const auto commands = commands_of(bytes_of(EVICTLAB_SOURCE_DIR "/README.md"));
    REQUIRE(commands.size() >= 10);
    const TemporaryFolder folder;
    for (const auto& command : commands) {
        const Outcome outcome = shell(command, folder.path.string());
        INFO(command << "\n" << outcome.out << outcome.err);
        REQUIRE(outcome.code == 0);
    }
    const std::string leaderboard = bytes_of(folder / "leaderboard.md");
    CHECK_THAT(leaderboard, ContainsSubstring("| bound | `oracle` |"));
    CHECK_THAT(leaderboard, ContainsSubstring("`champion "));
}
