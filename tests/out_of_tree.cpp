// A plugin written outside this project: installed prefix, moved elsewhere, a new project built against it, run by it.
// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "framework/plugin/host.hpp"
#include "framework/plugin/scaffold.hpp"
#include "tests/support/catch.hpp"

using namespace evictlab;
namespace fs = std::filesystem;

namespace {

const fs::path work = fs::path(EVICTLAB_BUILD_DIR) / "tests" / "out-of-tree";
const fs::path prefix = work / "moved";
const fs::path project = work / "my_scorer";

struct Outcome {
    int status;
    std::string output;
};

Outcome run(const std::string& command) {
    const fs::path log = work / "log";
    const int status = std::system(fmt::format("{} > '{}' 2>&1", command, log.string()).c_str());
    std::stringstream output;
    output << std::ifstream(log).rdbuf();
    return {status, command + "\n" + output.str()};
}

void must_run(const std::string& command) {
    const auto [status, output] = run(command);
    INFO(output);
    REQUIRE(status == 0);
}

// Installs, moves and builds once for all cases.
void prepare() {
    static bool done = false;
    if (done) return;
    fs::remove_all(work);
    fs::create_directories(work);
    must_run(fmt::format("cmake --install '{}' --prefix '{}'", EVICTLAB_BUILD_DIR, (work / "prefix").string()));
    fs::rename(work / "prefix", prefix);
    must_run(fmt::format("'{}/bin/evictlab' plugins new my_scorer '{}'", prefix.string(), project.string()));
    must_run(fmt::format("cmake -S '{0}' -B '{0}/build'", project.string()));
    must_run(fmt::format("cmake --build '{}/build'", project.string()));
    done = true;
}

} // namespace

TEST_CASE("a moved installation holds the program, the plugins, the SDK and the package, and no trace of the build") {
    prepare();
    for (const char* file :
         {"bin/evictlab", "lib/evictlab/plugins/h2o.so", "include/evictlab/scorer.h", "include/evictlab/scorer.hpp",
          "lib/cmake/evictlab/evictlabConfig.cmake", "lib/cmake/evictlab/scorers.cmake", "share/doc/evictlab/LICENSE"})
        CHECK(fs::exists(prefix / file));
    for (const auto& entry : fs::directory_iterator(prefix / "lib/cmake/evictlab")) {
        std::stringstream content;
        content << std::ifstream(entry.path()).rdbuf();
        INFO(entry.path());
        CHECK(content.str().find(EVICTLAB_BUILD_DIR) == std::string::npos);
        CHECK(content.str().find(EVICTLAB_SOURCE_DIR) == std::string::npos);
    }
}

TEST_CASE("a new project, built against the moved installation, is a plugin that loads") {
    prepare();
    std::ifstream cache(project / "build" / "CMakeCache.txt");
    std::stringstream content;
    content << cache.rdbuf();
    CHECK_THAT(content.str(), ContainsSubstring("evictlab_DIR:PATH=" + (prefix / "lib/cmake/evictlab").string()));

    const std::vector<fs::path> folders{project / "build"};
    const PluginHost host(folders);
    CHECK(host.problems().empty());
    const auto plugin = host.find("my_scorer");
    REQUIRE(plugin);
    CHECK(plugin->name() == "MyScorer");
    CHECK(plugin->parameters().size() == 3);
    CHECK(plugin->create(plugin->preset("no_window")->values));
}

TEST_CASE("the moved program lists and measures the new plugin") {
    prepare();
    const auto program = (prefix / "bin" / "evictlab").string();
    const auto list = run(fmt::format("'{}' plugins list --plugin-dir '{}/build'", program, project.string()));
    CHECK(list.status == 0);
    CHECK_THAT(list.output, ContainsSubstring("my_scorer") && ContainsSubstring("h2o"));
    const auto bench = run(
        fmt::format("'{}' bench --suite micro --scorers my_scorer --plugin-dir '{}/build'", program, project.string()));
    CHECK(bench.status == 0);
    CHECK_THAT(bench.output, ContainsSubstring("my_scorer") && ContainsSubstring("oracle"));
    const auto check = run(fmt::format("PREFIX='{}' '{}/check'", prefix.string(), project.string()));
    CHECK(check.status == 0);
    CHECK_THAT(check.output, ContainsSubstring("my_scorer: all is well"));
}

TEST_CASE("a new project is refused where it cannot be made") {
    fs::create_directories(work / "full" / "busy");
    std::ofstream(work / "full" / "busy" / "file") << "x";
    const auto refusal = [&](std::string_view name, const fs::path& folder) -> std::string {
        try {
            write_plugin_project(name, folder);
        } catch (const Error& error) {
            return error.what();
        }
        return "written";
    };
    CHECK_THAT(refusal("busy", work / "full" / "busy"), ContainsSubstring("exists and is not empty"));
    CHECK_THAT(refusal("My-Scorer", work / "full"), ContainsSubstring("must match [a-z][a-z0-9_]*"));
    CHECK_THAT(refusal("", work / "full"), ContainsSubstring("must match"));
    CHECK_THAT(refusal("test", work / "full"), ContainsSubstring("CMake keeps that name"));
    CHECK_THAT(refusal("fine", work / "full" / "busy" / "file" / "under"), ContainsSubstring("cannot make the folder"));
    fs::create_directories(work / "full" / "empty");
    CHECK(refusal("empty", work / "full" / "empty") == "written");
}
