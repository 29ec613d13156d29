// The README's commands, run in order as a reader types them: each line of its ```sh and ```console blocks that starts
// with evictlab, echo or cmake, in one empty folder with `evictlab` as the built program.
// SPDX-License-Identifier: MIT
#include <algorithm>
#include <filesystem>
#include <regex>
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

/// The Markdown pages of the repository: those on top, and in docs/ all.
std::vector<std::filesystem::path> pages(const std::filesystem::path& root) {
    std::vector<std::filesystem::path> found;
    for (const auto& entry : std::filesystem::directory_iterator(root))
        if (entry.path().extension() == ".md") found.push_back(entry.path());
    for (const auto& entry : std::filesystem::recursive_directory_iterator(root / "docs"))
        if (entry.path().extension() == ".md") found.push_back(entry.path());
    REQUIRE(found.size() > 10);
    return found;
}

/// The files that a page links, without anchors and without what lies on the net.
std::vector<std::string> links_of(const std::string& markdown) {
    static const std::regex link(R"(\]\(<?([^)>\s]+)>?\))");
    std::vector<std::string> targets;
    std::istringstream stream(markdown);
    bool code = false;
    for (std::string line; std::getline(stream, line);) {
        if (line.starts_with("```")) code = !code;
        if (code || line.starts_with("    ")) continue;
        for (std::sregex_iterator at(line.begin(), line.end(), link), end; at != end; ++at) {
            std::string target = (*at)[1];
            target = target.substr(0, target.find('#'));
            if (!target.empty() && target.find("://") == std::string::npos) targets.push_back(target);
        }
    }
    return targets;
}

} // namespace

TEST_CASE("commands are found in fenced blocks, prompts and continued lines included") {
    CHECK(
        commands_of("evictlab no\n```sh\nevictlab a\nscripts/test\n```\nevictlab no\n```console\n$ evictlab b \\\n  c\n"
                    "output\n```\n```json\nevictlab no\n```\n```sh\nbuild/release/bin/evictlab d\n```\n") ==
        std::vector<std::string>{"evictlab a", "evictlab b   c", "evictlab d"});
}

TEST_CASE("the page of columns is what the program says of them") {
    const Outcome printed = shell("evictlab plugins columns --format markdown", "/");
    REQUIRE(printed.code == 0);
    INFO("write it anew: evictlab plugins columns --format markdown > docs/columns.md");
    CHECK(printed.out == bytes_of(EVICTLAB_SOURCE_DIR "/docs/columns.md"));
}

TEST_CASE("a front page is short, and every page's links lead somewhere") {
    const std::filesystem::path root = EVICTLAB_SOURCE_DIR;
    const std::string readme = bytes_of(root / "README.md");
    CHECK(readme.size() <= 12288);
    CHECK(std::ranges::count(readme, '\n') <= 220);
    for (const auto& page : pages(root))
        for (const auto& target : links_of(bytes_of(page))) {
            INFO(page.string() << " links " << target);
            const auto file = (page.parent_path() / target).lexically_normal();
            CHECK(std::filesystem::exists(file));
            if (page == root / "CONTRIBUTING.md") continue;
            const std::string place = *file.lexically_relative(root).begin(); // an installation has these alone
            CHECK((place == "docs" || place == "README.md" || place == "CONTRIBUTING.md" || place == "LICENSE" ||
                   place == "SECURITY.md" || place == "CHANGELOG.md"));
        }
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
