// The command line leaves alone what it did not make: files beside a state, and what it reads itself.
// SPDX-License-Identifier: MIT
#include <map>
#include <unistd.h>

#include "tests/support/catch.hpp"
#include "tests/support/process.hpp"
#include "tests/support/temporary_folder.hpp"

using namespace evictlab::test;
namespace fs = std::filesystem;

namespace {

std::map<std::string, std::string> files_in(const fs::path& folder) {
    std::map<std::string, std::string> files;
    for (const auto& entry : fs::directory_iterator(folder))
        files[entry.path().string()] = entry.is_symlink()        ? "-> " + fs::read_symlink(entry.path()).string()
                                       : entry.is_regular_file() ? bytes_of(entry.path())
                                                                 : "a folder";
    return files;
}

const std::string small = "--suite micro --patterns 1 --seq-len 16 --layers 1 ";
const std::string begin = "evictlab evolve " + small + "--population 8 --generations 1 --quiet ";

/// The command is wrong use, names the file, and changes nothing.
void refused(const TemporaryFolder& folder, const std::string& command, const std::string& named) {
    INFO(command);
    const auto before = files_in(folder.path);
    const auto outcome = shell(command, folder.path.string());
    CHECK(outcome.code == 2);
    CHECK_THAT(outcome.err, ContainsSubstring(named) && ContainsSubstring("is not overwritten"));
    CHECK(files_in(folder.path) == before);
}

} // namespace

TEST_CASE("a new run that is refused leaves the files beside its name as they are") {
    const TemporaryFolder folder;
    for (const char* side : {".lock", ".tmp", ".previous", ".journal", ".verdicts", ".proposals"})
        put(folder / (std::string("poetry") + side).c_str(), "Man comes and tills the field\n");
    put(folder / "mine", "notes\n");
    fs::create_symlink("mine", folder / "linked.lock");
    const auto before = files_in(folder.path);
    for (const std::string more :
         {"--state poetry --start no_such", "--state poetry --start recent_attn",
          "--state poetry --start recent_attn --verdict false", "--state linked --start recent_attn"}) {
        INFO(more);
        const auto outcome = shell(begin + more, folder.path.string());
        CHECK((outcome.code == 1 || outcome.code == 2));
        CHECK_THAT(outcome.err, ContainsSubstring("poetry") || ContainsSubstring("linked"));
        CHECK(files_in(folder.path) == before);
    }
    for (const char* side : {".lock", ".tmp", ".previous", ".journal"})
        fs::remove(folder / (std::string("poetry") + side).c_str());
    const auto left = files_in(folder.path);
    const auto outcome = shell(begin + "--state poetry --start recent_attn --verdict false", folder.path.string());
    CHECK(outcome.code == 1);
    CHECK_THAT(outcome.err, ContainsSubstring("poetry.verdicts"));
    CHECK(files_in(folder.path) == left);
}

TEST_CASE("no output takes the place of an input") {
    const TemporaryFolder folder;
    REQUIRE(shell(begin + "--state a.json --start recent_attn", folder.path.string()).code == 0);
    REQUIRE(
        shell("evictlab bench " + small + "--scorers h2o@seed --format json -o b.json", folder.path.string()).code ==
        0);
    put(folder / "mine.formula", "recent_attn\n");
    fs::create_symlink("a.json", folder / "link.json");
    fs::create_hard_link(folder / "b.json", folder / "second.json");
    fs::create_hard_link(folder / "mine.formula", folder / "other.formula");
    fs::create_directory(folder / "sub");
    const std::string whole = folder.path.string();
    refused(folder, "evictlab report --state a.json -o a.json", "a.json");
    refused(folder, "evictlab report --state a.json -o sub/../a.json", "a.json");
    refused(folder, "evictlab report --state link.json -o " + whole + "/a.json", "a.json");
    refused(folder, "evictlab report --state a.json -o a.json.journal", "a.json.journal");
    refused(folder, "evictlab report --state a.json -o a.json.verdicts", "a.json.verdicts");
    refused(folder, "evictlab report --bench b.json -o b.json", "b.json");
    refused(folder, "evictlab report --bench b.json -o second.json", "second.json");
    refused(folder, "evictlab export mine.formula --to formula --output mine.formula", "mine.formula");
    refused(folder, "evictlab export mine.formula --to formula --output other.formula", "other.formula");
    refused(folder, "evictlab export a.json --to kvpress --output a.json", "a.json");
    refused(folder, "evictlab export a.json:g0-s0 --to kvpress --output a.json", "a.json");
    refused(folder, "evictlab bench " + small + "--scorers mine.formula -o mine.formula", "mine.formula");
    refused(folder, "evictlab bench " + small + "--scorers 'h2o@seed,mine.formula' -o other.formula", "other.formula");
    fs::create_hard_link(folder / "b.json", folder / "micro-rescore.svg");
    refused(folder, "evictlab report --bench b.json -o board.md", "micro-rescore.svg");
    fs::remove(folder / "micro-rescore.svg");
    CHECK(shell("evictlab report --bench b.json -o board.md --plots none", folder.path.string()).code == 0);
}

TEST_CASE("numbers are finite") {
    const TemporaryFolder folder;
    for (const char* option : {"--target", "--max-seconds", "--retention", "--archive", "--verdict-timeout"})
        for (const char* value : {"nan", "inf", "-inf", "NAN", "infinity", "-nan"}) {
            INFO(option << " " << value);
            const auto outcome =
                shell(begin + "--state run.json --start recent_attn " + option + "=" + value, folder.path.string());
            CHECK(outcome.code == 2);
            CHECK_THAT(outcome.err, ContainsSubstring(option));
            CHECK(fs::is_empty(folder.path));
        }
}
