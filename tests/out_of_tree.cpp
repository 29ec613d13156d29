// A plugin written outside this project: installed prefix, moved elsewhere, a new project built against it, run by it.
// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "framework/plugin/host.hpp"
#include "framework/plugin/scaffold.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/process.hpp"
#include "tests/support/temporary_folder.hpp"

using namespace evictlab;
using namespace evictlab::test;
namespace fs = std::filesystem;

namespace {

const TemporaryFolder folder;
const fs::path prefix = folder / "moved";
const fs::path project = folder / "my_scorer";

void must_run(const std::string& command) {
    const Outcome outcome = shell(command);
    INFO(command << "\n" << outcome.out << outcome.err);
    REQUIRE(outcome.code == 0);
}

// Installs, moves and builds once for all cases.
void prepare() {
    static bool done = false;
    if (done) return;
    must_run(fmt::format("cmake --install '{}' --prefix '{}'", EVICTLAB_BUILD_DIR, (folder / "prefix").string()));
    fs::rename(folder / "prefix", prefix);
    must_run(fmt::format("'{}/bin/evictlab' plugins new my_scorer '{}'", prefix.string(), project.string()));
    must_run(fmt::format("cmake -S '{0}' -B '{0}/build'", project.string()));
    must_run(fmt::format("cmake --build '{}/build'", project.string()));
    done = true;
}

} // namespace

TEST_CASE("a moved installation holds the program, the plugins, the SDK and the package, and no trace of the build") {
    prepare();
    for (const char* file :
         {"bin/evictlab", "lib/libevictlab.so", "lib/evictlab/plugins/h2o.so", "include/evictlab/evictlab.h",
          "include/evictlab/scorer.h", "include/evictlab/scorer.hpp", "lib/cmake/evictlab/evictlabConfig.cmake",
          "lib/cmake/evictlab/scorers.cmake", "lib/pkgconfig/evictlab.pc", "share/doc/evictlab/LICENSE",
          "share/doc/evictlab/README.md", "share/evictlab/schemas/evictlab-bench-2.schema.json",
          "share/bash-completion/completions/evictlab", "share/zsh/site-functions/_evictlab",
          "share/fish/vendor_completions.d/evictlab.fish", "share/man/man1/evictlab.1",
          "share/doc/evictlab/docs/README.md"})
        CHECK(fs::exists(prefix / file));
    for (const auto& entry : fs::directory_iterator(prefix / "lib/cmake/evictlab")) {
        const std::string content = bytes_of(entry.path());
        INFO(entry.path());
        CHECK(content.find(EVICTLAB_BUILD_DIR) == std::string::npos);
        CHECK(content.find(EVICTLAB_SOURCE_DIR) == std::string::npos);
    }
}

TEST_CASE("a moved installation finds the suites that came with it") {
    prepare();
    must_run(fmt::format("cd / && '{}/bin/evictlab' trace verify smollm2", prefix.string()));
}

TEST_CASE("a new project, built against the moved installation, is a plugin that loads") {
    prepare();
    CHECK_THAT(bytes_of(project / "build" / "CMakeCache.txt"),
               ContainsSubstring("evictlab_DIR:PATH=" + (prefix / "lib/cmake/evictlab").string()));

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
    const auto list = shell(fmt::format("'{}' plugins list --plugin-dir '{}/build'", program, project.string()));
    CHECK(list.code == 0);
    CHECK_THAT(list.out, ContainsSubstring("my_scorer") && ContainsSubstring("h2o"));
    const auto bench = shell(
        fmt::format("'{}' bench --suite micro --scorers my_scorer --plugin-dir '{}/build'", program, project.string()));
    CHECK(bench.code == 0);
    CHECK_THAT(bench.out, ContainsSubstring("my_scorer") && ContainsSubstring("oracle"));
    const auto check = shell(fmt::format("PREFIX='{}' '{}/check'", prefix.string(), project.string()));
    CHECK(check.code == 0);
    CHECK_THAT(check.out, ContainsSubstring("my_scorer: all is well"));
}

TEST_CASE("exported formulas, built as plugins against the moved installation, keep what the formulas keep") {
    prepare();
    const std::string program = (prefix / "bin" / "evictlab").string();
    const std::string formulas[] = {
        "if(position < 4, keep, if(relative_pos < 8, 1e6 - relative_pos, window_attn:64:pool=5:max*value_norm^0.7 + "
        "0.01*exp(-relative_pos/30)*tanh(key_cos) - min(layer_ratio, 0.3)*window_std:32))",
        "log(cumulative_attn)/(relative_pos - 9) + sqrt(key_cos) + 0.1*(key_cos < 0)*(key_cos == key_cos) + "
        "max(rank:key_norm, 0.2, value_norm^-1)*(relative_pos - 30)^3 - (relative_pos - 30)^0.5*abs(-layer_idx)^2"};
    std::string plugins, sources;
    for (std::size_t i = 0; i < std::size(formulas); ++i) {
        const std::string name = fmt::format("exported_{}", i), home = (folder / name.c_str()).string();
        must_run(
            fmt::format("'{}' export '={}' --to cpp-plugin --name {} --output '{}'", program, formulas[i], name, home));
        must_run(fmt::format(
            "cmake -S '{0}' -B '{0}/build' -DCMAKE_CXX_FLAGS='-Wall -Wextra -Wpedantic -Wshadow -Werror'", home));
        must_run(fmt::format("cmake --build '{}/build'", home));
        plugins += fmt::format("{}{}/build/{}.so", i == 0 ? "" : ",", home, name);
        sources += fmt::format("{}={}", i == 0 ? "" : ",", formulas[i]);
    }
    // Another kept set anywhere would be another error to the last digit.
    const auto rows_of = [&](const std::string& scorers) {
        const auto bench = shell(fmt::format(
            "'{}' bench --suite smollm2 --format json --retention 0.1,0.5,0.9 --scorers '{}'", program, scorers));
        INFO(bench.err);
        REQUIRE(bench.code == 0);
        std::vector<std::string> rows;
        const auto result = nlohmann::json::parse(bench.out);
        for (const auto& row : result.at("rows"))
            if (row.at("kind") != "bound" && row.at("scorer") != "random") rows.push_back(row.at("splits").dump());
        return rows;
    };
    const auto of_formulas = rows_of(sources), of_plugins = rows_of(plugins);
    CHECK(of_formulas.size() == std::size(formulas));
    CHECK(of_formulas == of_plugins);
}

TEST_CASE("a C program, built against the moved installation, asks libevictlab what is kept") {
    prepare();
    const fs::path source = fs::path(EVICTLAB_TEST_DATA) / "c_program", build = folder / "c_program";
    const std::string sanitizers = EVICTLAB_SANITIZE; // a program must start theirs before the library
    const std::string flags = sanitizers.empty() ? "" : "-DCMAKE_C_FLAGS=-fsanitize=" + sanitizers;
    must_run(fmt::format("cmake -S '{}' -B '{}' -DCMAKE_PREFIX_PATH='{}' {}", source.string(), build.string(),
                         prefix.string(), flags));
    must_run(fmt::format("cmake --build '{}'", build.string()));
    const Outcome kept = shell(fmt::format("'{}/keep'", build.string()));
    CHECK(kept.code == 0);
    CHECK_THAT(kept.out, ContainsSubstring("11110000\n00001111\n"));
    const Outcome refused = shell(fmt::format("'{}/keep' nonesuch", build.string()));
    CHECK(refused.code != 0);
    CHECK_THAT(refused.err, ContainsSubstring("scorer: ") && ContainsSubstring("nonesuch"));
}

TEST_CASE("a C program is built against the moved installation by pkg-config") {
    prepare();
    if (!std::string(EVICTLAB_SANITIZE).empty() || shell("pkg-config --version").code != 0) return;
    const std::string source = std::string(EVICTLAB_TEST_DATA) + "/c_program/keep.c";
    const std::string library = (prefix / "lib").string(), built = (folder / "by_pkg_config").string();
    must_run(fmt::format("export PKG_CONFIG_PATH='{0}/pkgconfig' && cc '{1}' $(pkg-config --cflags evictlab) -o '{2}' "
                         "$(pkg-config --libs evictlab) -Wl,-rpath,'{0}' -lm",
                         library, source, built));
    CHECK_THAT(shell(fmt::format("'{}'", built)).out, ContainsSubstring("11110000\n00001111\n"));
}

TEST_CASE("a new project is refused where it cannot be made") {
    fs::create_directories(folder / "full" / "busy");
    put(folder / "full" / "busy" / "file", "x");
    const auto refusal = [&](std::string_view name, const fs::path& to) -> std::string {
        try {
            write_plugin_project(name, to);
        } catch (const Error& error) {
            return error.what();
        }
        return "written";
    };
    CHECK_THAT(refusal("busy", folder / "full" / "busy"), ContainsSubstring("exists and is not empty"));
    CHECK_THAT(refusal("My-Scorer", folder / "full"), ContainsSubstring("must match [a-z][a-z0-9_]*"));
    CHECK_THAT(refusal("", folder / "full"), ContainsSubstring("must match"));
    CHECK_THAT(refusal("test", folder / "full"), ContainsSubstring("CMake keeps that name"));
    CHECK_THAT(refusal("fine", folder / "full" / "busy" / "file" / "under"),
               ContainsSubstring("cannot make the folder"));
    fs::create_directories(folder / "full" / "empty");
    CHECK(refusal("empty", folder / "full" / "empty") == "written");
}
