// The journal of exchanges: what was remembered survives whatever happens to the process, and what is not ours is left
// alone. SPDX-License-Identifier: MIT
#include <algorithm>
#include <cerrno>

#include "state/answer_journal.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/faulty_files.hpp"
#include "tests/support/memory_disk.hpp"
#include "tests/support/temporary_folder.hpp"

using namespace evictlab::test;
using evictlab::state::AnswerJournal;
using evictlab::state::FileOps;
using evictlab::state::Json;
using evictlab::state::StateError;

namespace {

void fill(const std::filesystem::path& file) {
    AnswerJournal journal = AnswerJournal::create(file);
    journal.remember("a", {{"kl", {0.1, 1.0 / 3}}});
    journal.remember("b \"\n\u20ac", nullptr);
    journal.remember("a", {{"kl", {0.1, 2.0 / 3}}});
}

} // namespace

TEST_CASE("Answers are found again, the later one of two") {
    const TemporaryFolder folder;
    const auto file = folder / "run.exchanges";
    CHECK(AnswerJournal::resume(file).size() == 0);
    CHECK(!std::filesystem::exists(file));
    fill(file);
    const AnswerJournal journal = AnswerJournal::resume(file);
    CHECK(journal.size() == 2);
    REQUIRE(journal.find("a") != nullptr);
    CHECK(journal.find("a")->at("kl").at(1).get<double>() == 2.0 / 3);
    REQUIRE(journal.find("b \"\n\u20ac") != nullptr);
    CHECK(journal.find("b \"\n\u20ac")->is_null());
    CHECK(journal.find("c") == nullptr);
}

TEST_CASE("Cut at any byte, a journal holds the answers before the cut and goes on to the same bytes") {
    const TemporaryFolder folder;
    const auto file = folder / "run.exchanges";
    fill(file);
    const std::string whole = bytes_of(file);
    for (std::size_t size = 0; size < whole.size(); ++size) {
        put(file, whole.substr(0, size));
        AnswerJournal journal = AnswerJournal::resume(file);
        const auto lines = std::count(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size), '\n');
        if (lines < 2) journal.remember("a", {{"kl", {0.1, 1.0 / 3}}});
        if (lines < 3) journal.remember("b \"\n\u20ac", nullptr);
        journal.remember("a", {{"kl", {0.1, 2.0 / 3}}});
        REQUIRE(bytes_of(file) == whole);
    }
    put(file, whole + std::string(100, '\0') + "\n"); // a power cut may leave that, too
    CHECK(AnswerJournal::resume(file).size() == 2);
}

TEST_CASE("What is not a journal of exchanges is refused and stays as it is") {
    const TemporaryFolder folder;
    const auto file = folder / "run.exchanges";
    fill(file);
    std::string damaged = bytes_of(file);
    damaged[damaged.find("\"key\"") + 1] = 'q';
    const auto [bytes, reason] = GENERATE_COPY(table<std::string, std::string>({
        {damaged, "line 2, is damaged"},
        {"{\"format\":\"evictlab-exchanges/3\"}\n", "begins with '{\"format\":\"evictlab-exchanges/3\"}'"},
        {"my notes", "not a file that evictlab wrote"},
    }));
    put(file, bytes);
    CHECK_THROWS_AS(AnswerJournal::resume(file), StateError);
    CHECK_THROWS_WITH(AnswerJournal::resume(file), ContainsSubstring(reason) && ContainsSubstring(file.string()));
    CHECK(bytes_of(file) == bytes);
}

TEST_CASE("An answer that the disk does not take is not remembered, and half a line does not stay") {
    struct FullDisk : FileOps {
        bool full = false;
        ssize_t write(int descriptor, const void* bytes, std::size_t size) override {
            if (!full) return FileOps::write(descriptor, bytes, size);
            if (size <= 5) {
                errno = ENOSPC;
                return -1;
            }
            return FileOps::write(descriptor, bytes, size - 5);
        }
    } disk;
    const TemporaryFolder folder;
    const auto file = folder / "run.exchanges";
    fill(file);
    const std::string before = bytes_of(file);
    AnswerJournal journal = AnswerJournal::resume(file, disk);
    disk.full = true;
    CHECK_THROWS_WITH(journal.remember("c", 1), ContainsSubstring("Free space on that disk"));
    CHECK(journal.find("c") == nullptr);
    disk.full = false;
    journal.remember("c", 1);
    CHECK_THAT(bytes_of(file), Catch::Matchers::StartsWith(before + "{\"key\":\"c\",\"answer\":1,\"chain\":\""));
    CHECK(AnswerJournal::resume(file).find("c") != nullptr);
}

TEST_CASE("At every fault of a call an answer that was not kept can be kept again, and none is lost") {
    for (const Fault fault : {Fault::fails, Fault::falls_short, Fault::tears}) {
        int faults = 0;
        for (int call = 0; call < 40; ++call) {
            INFO("call " << call << ", fault " << static_cast<int>(fault));
            const TemporaryFolder folder;
            const auto file = folder / "run.exchanges";
            FaultyFiles files;
            AnswerJournal journal = AnswerJournal::create(file, files);
            files.arm(call, fault, ENOSPC);
            for (const char* key : {"a", "b", "c"}) try {
                    journal.remember(key, 1);
                } catch (const StateError& error) {
                    CHECK_THAT(error.what(), ContainsSubstring("an answer cannot be kept in '" + file.string()) &&
                                                 ContainsSubstring("No space left on device"));
                    CHECK(journal.find(key) == nullptr);
                    journal.remember(key, 1);
                }
            faults += files.happened() ? 1 : 0;
            CHECK(AnswerJournal::resume(file).size() == 3);
        }
        CHECK(faults >= 3);
    }
}

TEST_CASE("After a power cut at any moment every answer that was remembered is there") {
    const auto file = std::filesystem::path(MemoryDisk::folder) / "run.exchanges";
    bool cut = true;
    for (int changes = 0; cut; ++changes) {
        MemoryDisk disk;
        disk.cut_power_after(changes);
        std::size_t remembered = 0;
        try {
            AnswerJournal journal = AnswerJournal::resume(file, disk);
            for (const char* key : {"a", "b", "c"}) {
                journal.remember(key, 1);
                ++remembered;
            }
        } catch (const StateError&) {
        }
        cut = !disk.has_power();
        using Unflushed = MemoryDisk::Unflushed;
        for (std::size_t names = 0; names <= disk.unflushed_names(); ++names)
            for (const Unflushed bytes : {Unflushed::nothing, Unflushed::half, Unflushed::everything}) {
                INFO("after " << changes << " changes, " << names << " names, bytes " << static_cast<int>(bytes));
                MemoryDisk after = disk.after_power_cut(names, bytes);
                AnswerJournal journal = AnswerJournal::resume(file, after);
                CHECK(journal.size() >= remembered);
                for (const char* key : {"a", "b", "c"}) journal.remember(key, 1);
                CHECK(AnswerJournal::resume(file, after).size() == 3);
            }
    }
}

TEST_CASE("An answer that was edited, lost or moved is noticed, wherever it stands") {
    const TemporaryFolder folder;
    const auto file = folder / "run.exchanges";
    AnswerJournal::create(file).remember("a", 0.125);
    AnswerJournal::resume(file).remember("b", 0.25);
    AnswerJournal::resume(file).remember("c", 0.5);
    const std::string whole = bytes_of(file);
    std::vector<std::string> lines;
    for (std::size_t begin = 0, end = 0; (end = whole.find('\n', begin)) != whole.npos; begin = end + 1)
        lines.push_back(whole.substr(begin, end + 1 - begin));
    REQUIRE(lines.size() == 4);
    const auto [bytes, place] = GENERATE_COPY(table<std::string, std::string>({
        {lines[0] + std::string(lines[1]).replace(lines[1].find("0.125"), 5, "0.126") + lines[2] + lines[3], "line 2"},
        {lines[0] + lines[2] + lines[3], "line 2"},
        {lines[0] + lines[1] + lines[3] + lines[2] + lines[3], "line 3"},
        {lines[0] + "{\"key\":\"a\",\"answer\":0}\n" + lines[1] + lines[2], "line 2"},
    }));
    put(file, bytes);
    CHECK_THROWS_WITH(AnswerJournal::resume(file), ContainsSubstring(place) && ContainsSubstring("damaged"));
    CHECK(bytes_of(file) == bytes);
}

TEST_CASE("Answers of an older version, which had no checksums, are read, gone on with and from then on guarded") {
    const TemporaryFolder folder;
    const auto file = folder / "run.exchanges";
    const std::string older = "{\"format\":\"evictlab-exchanges/1\"}\n{\"key\":\"a\",\"answer\":1}\n"
                              "{\"key\":\"b\",\"answer\":2}\n";
    put(file, older);
    {
        AnswerJournal journal = AnswerJournal::resume(file);
        CHECK(journal.size() == 2);
        journal.remember("c", 3);
        journal.remember("d", 4);
    }
    const std::string whole = bytes_of(file);
    CHECK_THAT(whole, Catch::Matchers::StartsWith(older));
    CHECK(AnswerJournal::resume(file).size() == 4);
    std::string edited = whole;
    edited[edited.find("\"answer\":1") + 9] = '7';
    put(file, edited);
    CHECK_THROWS_WITH(AnswerJournal::resume(file),
                      ContainsSubstring("line 4") && ContainsSubstring("one before it was"));
}
