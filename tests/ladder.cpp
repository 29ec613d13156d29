// Folders include one another only down the ladder that CONTRIBUTING.md draws. SPDX-License-Identifier: MIT
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/catch.hpp"

namespace fs = std::filesystem;

namespace {

const fs::path root = EVICTLAB_SOURCE_DIR;

std::vector<std::string> lines_of(const fs::path& file) {
    std::ifstream in(file);
    std::vector<std::string> lines;
    for (std::string line; std::getline(in, line);) lines.push_back(line);
    return lines;
}

/// The number of each folder's line, from the top.
std::map<std::string, std::size_t> ladder() {
    std::map<std::string, std::size_t> rungs;
    bool inside = false;
    std::size_t rung = 0;
    for (const std::string& line : lines_of(root / "CONTRIBUTING.md")) {
        if (inside && line == "```") return rungs;
        if (inside) {
            std::istringstream folders(line);
            for (std::string folder; folders >> folder;) rungs[folder] = rung;
            ++rung;
        }
        inside = inside || line == "```ladder C++";
    }
    return rungs;
}

/// The folder that a source belongs to, of those on the ladder: the longest that holds it; "" for the outside.
std::string folder_of(const fs::path& file, const std::map<std::string, std::size_t>& rungs) {
    for (fs::path folder = file.parent_path(); !folder.empty(); folder = folder.parent_path())
        if (rungs.contains(folder.string())) return folder.string();
    return "";
}

/// In quotes, from the project's root.
std::vector<std::string> includes_of(const fs::path& file) {
    std::vector<std::string> found;
    for (const std::string& line : lines_of(file))
        if (const std::string begin = "#include \""; line.starts_with(begin))
            found.push_back(line.substr(begin.size(), line.find('"', begin.size()) - begin.size()));
    return found;
}

std::vector<fs::path> sources_below(const std::string& folder) {
    std::vector<fs::path> files;
    for (const auto& entry : fs::recursive_directory_iterator(root / folder))
        if (entry.path().extension() == ".cpp" || entry.path().extension() == ".hpp")
            files.push_back(fs::relative(entry.path(), root));
    std::ranges::sort(files);
    return files;
}

} // namespace

TEST_CASE("every include goes down the ladder of folders") {
    const auto rungs = ladder();
    REQUIRE(rungs.size() > 20);
    std::vector<std::string> wrong;
    for (const char* top : {"base", "capi", "cli", "conformance", "engine", "evolution", "export", "framework",
                            "isolation", "report", "state"})
        for (const fs::path& file : sources_below(top)) {
            const std::string own = folder_of(file, rungs);
            for (const std::string& included : includes_of(file)) {
                const std::string other = folder_of(included, rungs);
                if (other == own || (other.empty() && included.find('/') == std::string::npos)) continue;
                if (other.empty() || own.empty() || rungs.at(other) <= rungs.at(own))
                    wrong.push_back(file.string() + " includes " + included);
            }
        }
    CHECK(wrong == std::vector<std::string>{});
}

TEST_CASE("what evaluates and what is kept of a run know nothing of each other") {
    for (const auto& [folder, other] : {std::pair{"framework", "state/"}, std::pair{"state", "framework/"}})
        for (const fs::path& file : sources_below(folder))
            for (const std::string& included : includes_of(file)) {
                INFO(file << " includes " << included);
                CHECK_FALSE(included.starts_with(other));
            }
}

TEST_CASE("no folder of framework holds more than a sixth of it") {
    std::map<std::string, std::size_t> lines;
    std::size_t all = 0;
    for (const fs::path& file : sources_below("framework")) {
        const std::size_t count = lines_of(root / file).size();
        lines[file.parent_path().string()] += count; // a folder of sources that one adds to is one of its own
        all += count;
    }
    for (const auto& [folder, count] : lines) {
        INFO(folder << ": " << count << " of " << all << " lines");
        CHECK(6 * count <= all);
    }
}
