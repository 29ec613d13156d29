// What lies below the command names no flags of it: an error says what is wrong, and the command which flag that is.
// SPDX-License-Identifier: MIT
#include <filesystem>
#include <fstream>
#include <regex>
#include <string>
#include <vector>

#include "tests/support/catch.hpp"

namespace fs = std::filesystem;

namespace {

/// Lines of C and C++ below the folder with a string literal in which a flag is named.
std::vector<std::string> flags_in(const fs::path& folder) {
    static const std::regex literal(R"re("([^"\\]|\\.)*")re"), flag("--[a-z]");
    static const std::regex of_another("`evictlab-[^`]*`"); // a whole command of another program may be told
    std::vector<std::string> found;
    for (const auto& entry : fs::recursive_directory_iterator(folder)) {
        const std::string ending = entry.path().extension();
        if (ending != ".cpp" && ending != ".hpp" && ending != ".h") continue;
        std::ifstream file(entry.path());
        int number = 0;
        for (std::string line; std::getline(file, line);) {
            ++number;
            for (std::sregex_iterator at(line.begin(), line.end(), literal), end; at != end; ++at) {
                const std::string text = at->str();
                if (std::regex_search(std::regex_replace(text, of_another, ""), flag))
                    found.push_back(entry.path().string() + ":" + std::to_string(number) + ": " + text);
            }
        }
    }
    return found;
}

} // namespace

TEST_CASE("messages of the lower floors name no flags") {
    for (const char* folder : {"base", "framework", "evolution", "state", "capi"}) {
        INFO(folder);
        CHECK(flags_in(fs::path(EVICTLAB_SOURCE_DIR) / folder) == std::vector<std::string>{});
    }
}

TEST_CASE("the command's own options are found by the same search") {
    CHECK_FALSE(flags_in(fs::path(EVICTLAB_SOURCE_DIR) / "cli").empty());
}
