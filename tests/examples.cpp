// The gallery: each example is built as its page says, keeps the contract and has a row. The Python one is in
// tools/tests/test_examples.py. SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include <filesystem>

#include "tests/support/catch.hpp"
#include "tests/support/process.hpp"
#include "tests/support/temporary_folder.hpp"

using namespace evictlab;
using namespace evictlab::test;
namespace fs = std::filesystem;

namespace {

const fs::path examples = fs::path(EVICTLAB_SOURCE_DIR) / "examples";
constexpr std::string_view small = "--suite micro --seq-len 24 --layers 2 --patterns 2";

std::string must_run(const std::string& command, const fs::path& where = {}) {
    const Outcome outcome = shell(command, where.string());
    INFO(command << "\n" << outcome.out << outcome.err);
    REQUIRE(outcome.code == 0);
    return outcome.out;
}

void build(const fs::path& source, const fs::path& into) {
    must_run(fmt::format("cmake -S '{}' -B '{}' -DCMAKE_PREFIX_PATH='{}' && cmake --build '{}'", source.string(),
                         into.string(), EVICTLAB_BUILD_DIR, into.string()));
}

bool has_cargo() {
    const bool there = shell("cargo --version").code == 0;
    if (!there) WARN("skipped: cargo is not there, so that no example in Rust is built");
    return there;
}

/// The page is short, and names the files beside it.
void check_page(const fs::path& folder) {
    const std::string page = bytes_of(folder / "README.md");
    CHECK(std::ranges::count(page, '\n') <= 30);
    for (const auto& entry : fs::directory_iterator(folder)) {
        const std::string file = entry.path().filename().string();
        if (entry.path().extension() == ".cpp" || entry.path().extension() == ".formula" ||
            entry.path().extension() == ".py")
            CHECK_THAT(page, ContainsSubstring(file));
    }
}

} // namespace

TEST_CASE("the gallery's pages are of a screen and name what they are about") {
    std::size_t folders = 0;
    for (const auto& entry : fs::directory_iterator(examples)) {
        if (!entry.is_directory()) continue;
        INFO(entry.path());
        check_page(entry.path());
        CHECK_THAT(bytes_of(examples / "README.md"), ContainsSubstring("(" + entry.path().filename().string() + ")"));
        ++folders;
    }
    CHECK(folders == 5);
}

TEST_CASE("the formula is one, and beats random") {
    const std::string file = (examples / "formula" / "sinks_and_shares.formula").string();
    must_run(fmt::format("evictlab formula check '{}'", file));
    const std::string table = must_run(fmt::format("evictlab bench {} --scorers '{}'", small, file));
    CHECK(table.find("sinks_and_shares") < table.find("random"));
}

TEST_CASE("the plugin with state keeps the contract, and its parameter decides") {
    const TemporaryFolder folder;
    const fs::path built = folder / "built";
    build(examples / "state", built);
    must_run(fmt::format("evictlab check '{}'", (built / "half_life.so").string()));
    const std::string csv =
        must_run(fmt::format("evictlab bench {} --format csv --scorers half_life,half_life:half_life=1 --plugin-dir "
                             "'{}'",
                             small, built.string()));
    const auto row = [&csv](const std::string& name) {
        const std::size_t at = csv.find(name + ",");
        REQUIRE(at != std::string::npos);
        return csv.substr(at + name.size(), csv.find('\n', at) - at - name.size());
    };
    CHECK(row("half_life") != row("half_life:half_life=1"));
}

TEST_CASE("the wrapper goes around any scorer") {
    const TemporaryFolder folder;
    const fs::path built = folder / "built";
    build(examples / "wrapper", built);
    must_run(fmt::format("evictlab check '{}'", (built / "shield.so").string()));
    const std::string table = must_run(fmt::format("evictlab bench --suite smollm2 --patterns 1 --retention 0.25 "
                                                   "--scorers 'shield(knorm@kvpress),shield(=window_attn:32)' "
                                                   "--plugin-dir '{}'",
                                                   built.string()));
    CHECK_THAT(table, ContainsSubstring("shield(knorm@kvpress)") && ContainsSubstring("shield(=window_attn:32)"));
}

TEST_CASE("the Rust library keeps the contract and has a row") {
    if (!has_cargo()) return;
    const TemporaryFolder folder;
    fs::copy(examples / "rust", folder / "rust", fs::copy_options::recursive); // cargo writes beside its manifest
    must_run("cargo build --release --offline --quiet", folder / "rust");
    const fs::path built = folder / "rust" / "target" / "release";
    must_run(fmt::format("evictlab check '{}'", (built / "librusty.so").string()));
    CHECK_THAT(
        must_run(fmt::format("evictlab bench {} --scorers rusty:sinks=0 --plugin-dir '{}'", small, built.string())),
        ContainsSubstring("rusty:sinks=0"));
}

TEST_CASE("a new project is written in C, C++ and Rust, and the last is the example") {
    const TemporaryFolder folder;
    must_run("evictlab plugins new mine --lang c", folder.path);
    build(folder / "mine", folder / "built");
    must_run(fmt::format("evictlab check '{}'", (folder / "built" / "mine.so").string()));
    must_run(fmt::format("evictlab bench {} --scorers mine,mine@no_window --plugin-dir built", small), folder.path);

    must_run("evictlab plugins new rusty --lang rust", folder.path);
    for (const char* file : {"src/lib.rs", "Cargo.toml"})
        CHECK(bytes_of(folder / "rusty" / file) == bytes_of(examples / "rust" / file));
    must_run("evictlab plugins new other --lang cpp && test -x other/check && test -f other/other.cpp", folder.path);

    const Outcome refused = shell("evictlab plugins new more --lang zig", folder.path.string());
    CHECK(refused.code == 2);
    CHECK_THAT(refused.err, ContainsSubstring("'zig' is no language") && ContainsSubstring("cpp, c or rust"));
    CHECK_FALSE(fs::exists(folder / "more"));
    CHECK_THAT(shell("evictlab plugins --lang c").err, ContainsSubstring("--lang is for evictlab plugins new"));
}
