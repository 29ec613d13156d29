// SPDX-License-Identifier: MIT
#include "tests/support/markdown.hpp"

#include <regex>
#include <sstream>

#include "tests/support/catch.hpp"

namespace evictlab::test {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view fence = "```", indent = "    ";

bool begins_as_command(std::string_view line) {
    line.remove_prefix(std::min(line.find_first_not_of(" $"), line.size()));
    for (const std::string_view word : {"evictlab ", "evictlab-", "scripts/", "cmake ", "ctest ", "pip ", "python3 "})
        if (line.starts_with(word)) return true;
    return false;
}

} // namespace

std::vector<fs::path> pages() {
    const fs::path root = EVICTLAB_SOURCE_DIR;
    std::vector<fs::path> found{root / "speed" / "README.md"};
    for (const auto& entry : fs::directory_iterator(root))
        if (entry.path().extension() == ".md") found.push_back(entry.path());
    for (const char* folder : {"docs", "examples"})
        for (const auto& entry : fs::recursive_directory_iterator(root / folder))
            if (entry.path().extension() == ".md") found.push_back(entry.path());
    std::ranges::sort(found);
    REQUIRE(found.size() > 20);
    return found;
}

std::vector<ShellBlock> shell_blocks(const std::string& markdown) {
    std::vector<ShellBlock> blocks;
    std::istringstream stream(markdown);
    bool inside = false, shell = false;
    std::string before;
    std::size_t number = 0;
    for (std::string line; std::getline(stream, line); before = line) {
        ++number;
        if (line.starts_with(fence)) {
            inside = !inside;
            shell = inside && line == "```sh";
            if (shell) blocks.push_back({number + 1, "", !before.starts_with("<!-- not run: ")});
        } else if (shell) {
            blocks.back().text += line + "\n";
        }
    }
    return blocks;
}

std::vector<std::string> commands_outside_of_shell_blocks(const std::string& markdown) {
    std::vector<std::string> found;
    std::istringstream stream(markdown);
    bool inside = false, shell = false;
    for (std::string line; std::getline(stream, line);) {
        if (line.starts_with(fence)) {
            inside = !inside;
            shell = inside && line == "```sh";
        } else if (!shell && (inside || line.starts_with(indent)) && begins_as_command(line)) {
            found.push_back(line);
        }
    }
    return found;
}

std::vector<std::string> code_spans(const std::string& markdown, const std::string& word) {
    const std::regex span("`(" + word + " [^`]+)`");
    std::vector<std::string> found;
    std::istringstream stream(markdown);
    bool inside = false;
    for (std::string line; std::getline(stream, line);) {
        if (line.starts_with(fence)) inside = !inside;
        if (inside) continue;
        for (std::sregex_iterator at(line.begin(), line.end(), span), end; at != end; ++at) found.push_back((*at)[1]);
    }
    return found;
}

} // namespace evictlab::test
