// Files that were made to hurt, as a user meets them: each command that reads such a file says at once what is wrong.
// tests/fuzz looks for more of them. SPDX-License-Identifier: MIT
#include "state/store.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/process.hpp"
#include "tests/support/refused_run.hpp"

using namespace evictlab;
using namespace evictlab::test;
namespace fs = std::filesystem;

namespace {

constexpr std::size_t million = 1'000'000;

/// "At once": in few seconds of the processor, and without the memory that the file asks for.
const std::string held =
    std::string(EVICTLAB_SANITIZE).empty() ? "ulimit -t 10; ulimit -v 3000000; " : "ulimit -t 60; ";

struct Folder {
    TemporaryFolder folder;

    /// The command is refused with that exit code and one short message that has the text.
    void refuses(const std::string& command, int code, const std::string& text) const {
        INFO(command);
        const Outcome outcome = shell(held + command, folder.path.string());
        CHECK(outcome.code == code);
        CHECK_THAT(outcome.err, ContainsSubstring(text));
        CHECK(outcome.err.size() < 2'000);
        CHECK(outcome.out.empty());
    }
    fs::path operator/(const char* name) const { return folder / name; }
};

std::string wide_object() {
    std::string text = "{";
    for (std::size_t i = 0; i < million; ++i) text += "\"" + std::to_string(i) + "\":0,";
    return text + "\"last\":0}";
}

std::string header_of_length(std::uint64_t length, const std::string& json) {
    std::string bytes;
    for (int i = 0; i < 8; ++i) bytes += static_cast<char>(length >> 8 * i & 0xff);
    return bytes + json;
}

} // namespace

TEST_CASE("A formula of a million nested parentheses") {
    const Folder files;
    put(files / "deep.formula", std::string(million, '(') + "1" + std::string(million, ')'));
    const std::string wrong = "nested more than 256 levels deep";
    files.refuses("evictlab formula check deep.formula", 2, wrong);
    files.refuses("evictlab bench --suite micro --scorers deep.formula", 2, wrong);
    files.refuses("evictlab evolve --suite micro --state run.json --start deep.formula --no-isolate", 2, wrong);
    files.refuses("evictlab export deep.formula --to formula", 2, wrong);
    CHECK_FALSE(fs::exists(files / "run.json"));
    files.refuses("evictlab formula check \"$(printf '(%.0s' $(seq 50000))\"", 2, wrong);
}

TEST_CASE("A formula file that does not end") {
    const Folder files;
    fs::create_symlink("/dev/zero", files / "endless.formula");
    const std::string wrong = "endless.formula: is a device, not a file";
    files.refuses("evictlab formula check endless.formula", 2, wrong);
    files.refuses("evictlab bench --suite micro --scorers endless.formula", 2, wrong);
    files.refuses("evictlab export endless.formula --to formula", 2, wrong);
}

TEST_CASE("Names of scorers and columns that are nested without end") {
    const Folder files;
    files.refuses(
        "evictlab bench --suite micro --scorers \"$(printf 'adakv(%.0s' $(seq 9999))h2o$(printf ')%.0s' $(seq "
        "9999))\"",
        2, "more than 8 wrappers around each other");
    std::string ranks;
    for (std::size_t i = 0; i < million / 10; ++i) ranks += "rank:";
    put(files / "ranks.formula", ranks + "position");
    files.refuses("evictlab formula check ranks.formula", 2, "is longer than 120 characters");
}

TEST_CASE("An argument that is a placeholder of the library that words the message") {
    const Folder files;
    for (const std::string command :
         {"bench '-%original_token%'", "formula '--%option%'", "evolve --seed='%value%' --x"})
        files.refuses("evictlab " + command, 2, "an argument has a '%'");
}

TEST_CASE("JSON that nests a million levels deep, or has an object of a million members") {
    const Folder files;
    std::string wrong, text;
    SECTION("deep lists") {
        text = std::string(million, '[');
        wrong = "nests deeper than ";
    }
    SECTION("deep objects") {
        for (std::size_t i = 0; i < million; ++i) text += "{\"a\":";
        wrong = "nests deeper than ";
    }
    SECTION("wide") {
        text = wide_object();
        wrong = "has an object of more than 1000 members";
    }
    put(files / "bad.json", text);
    files.refuses("evictlab status bad.json", 1, wrong);
    files.refuses("evictlab log bad.json", 1, wrong);
    files.refuses("evictlab evolve --state bad.json --resume --no-isolate", 1, wrong);
    files.refuses("evictlab export bad.json --to formula", 1, wrong);
    files.refuses("evictlab report --state bad.json", 1, wrong);
    files.refuses("evictlab report --bench bad.json", 1, wrong);
    REQUIRE(shell("evictlab bench --suite micro --patterns 1 --seq-len 16 --layers 1 --scorers random --format json -o "
                  "good.json",
                  files.folder.path.string())
                .code == 0);
    files.refuses("evictlab report --bench good.json --verdict bad.json", 1, wrong);
    fs::create_directory(files / "suite");
    put(files / "suite/suite.json", text);
    files.refuses("evictlab trace verify ./suite", 1, wrong);
    files.refuses("evictlab bench --suite ./suite", 1, wrong);
    CHECK(bytes_of(files / "bad.json") == text);
}

TEST_CASE("A journal with a line that nests a million levels deep") {
    const Folder files;
    const Outcome run =
        shell("evictlab evolve --suite micro --patterns 1 --seq-len 16 --layers 1 --population 4 --tuned 0 "
              "--generations 1 --state good.json",
              files.folder.path.string());
    REQUIRE(run.code == 0);
    {
        auto store = state::RunStore::create(files / "bad.json");
        const std::string line = "{\"a\":" + std::string(million, '[') + std::string(million, ']') + "}";
        store.save(state::read_state(files / "good.json"), std::span(&line, 1));
    }
    const std::string wrong = "line 1 of the journal 'bad.json.journal' nests deeper than 64 levels";
    files.refuses("evictlab log bad.json", 1, wrong);
    files.refuses("evictlab evolve --state bad.json --resume --generations 3 --no-isolate", 1, wrong);
}

TEST_CASE("A safetensors file that claims more than there is") {
    const Folder files;
    const auto refused = [&](const std::string& wrong) {
        files.refuses("evictlab trace info bad.safetensors", 1, "bad.safetensors: " + wrong);
    };
    put(files / "bad.safetensors", header_of_length(std::uint64_t{1} << 63, "{}"));
    refused("claims a header of 9223372036854775808 bytes, but has 2 behind its length");
    put(files / "bad.safetensors", header_of_length(million, std::string(million, '[')));
    refused("the header does not begin with '{'");
    put(files / "bad.safetensors", header_of_length(million, "{\"a\":" + std::string(million, '[')));
    refused("tensor 'a': expected an object, found a list");
    std::string shape = "{\"a\":{\"shape\":[1";
    for (std::size_t i = 0; i < million; ++i) shape += ",1";
    put(files / "bad.safetensors", header_of_length(shape.size(), shape));
    refused("tensor 'a': its field 'shape' has more than 8 numbers");
    const std::string large = R"({"a":{"dtype":"F64","shape":[4611686018427387904,4],"data_offsets":[0,0]}})";
    put(files / "bad.safetensors", header_of_length(large.size(), large));
    refused("tensor 'a': its shape [4611686018427387904, 4] is larger than any file");
    put(files / "bad.safetensors", header_of_length(2, "{}"));
    fs::resize_file(files / "bad.safetensors", std::uintmax_t{1} << 42); // sparse: takes no room on the disk
    files.refuses("evictlab trace info bad.safetensors", 1, "bad.safetensors: ");
}
