// The front page is short, links lead somewhere, and the page of columns is the program's own.
// SPDX-License-Identifier: MIT
#include <algorithm>
#include <filesystem>
#include <regex>
#include <sstream>
#include <string>
#include <vector>

#include "tests/support/catch.hpp"
#include "tests/support/markdown.hpp"
#include "tests/support/process.hpp"
#include "tests/support/temporary_folder.hpp"

using namespace evictlab::test;

namespace {

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
    for (const auto& page : pages())
        for (const auto& target : links_of(bytes_of(page))) {
            INFO(page.string() << " links " << target);
            const auto file = (page.parent_path() / target).lexically_normal();
            CHECK(std::filesystem::exists(file));
            if (page == root / "CONTRIBUTING.md" || page == root / "speed/README.md") continue; // not installed
            const std::string place = *file.lexically_relative(root).begin(); // an installation has these alone
            CHECK((place == "docs" || place == "examples" || place == "README.md" || place == "CONTRIBUTING.md" ||
                   place == "LICENSE" || place == "SECURITY.md" || place == "CHANGELOG.md"));
        }
}
