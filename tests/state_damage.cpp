// What the store cannot read: damaged, edited, hostile, of another version or not its own. Each is refused with what,
// why and what to do, and with the run's files as they were. SPDX-License-Identifier: MIT

#include "tests/support/refused_run.hpp"

using namespace evictlab;
using namespace evictlab::test;
using state::RunStore;
namespace fs = std::filesystem;

TEST_CASE("A damaged state file, with the generation before pointed out") {
    const SavedRun run;
    const std::string whole = bytes_of(run.file);
    std::string cause;
    SECTION("truncated") {
        put(run.file, whole.substr(0, whole.size() / 2));
        cause = "is truncated: it ends after " + std::to_string(whole.size() / 2) + " bytes";
    }
    SECTION("empty") {
        put(run.file, "");
        cause = "' is empty.";
    }
    SECTION("overwritten with zeros") {
        put(run.file, std::string(whole.size(), '\0'));
        cause = "is damaged: no valid JSON at line 1, column 1";
    }
    SECTION("edited") {
        put(run.file, replaced(whole, "recent_attn^3", "recent_attn^4"));
        cause = "does not fit its checksum";
    }
    SECTION("gone") {
        fs::remove(run.file);
        cause = "there is no '" + run.file.string() + "'.";
    }
    const std::string message = run.refused();
    CHECK_THAT(message, ContainsSubstring(cause) && ContainsSubstring("saved before it is whole") &&
                            ContainsSubstring("cp -- " + run.previous.string()) && ContainsSubstring("resume the run"));
    put(run.file, bytes_of(run.previous));
    CHECK(RunStore::resume(run.file).content() == made_up_content(2));
}

TEST_CASE("A damaged state file with no generation before it that could be used") {
    const SavedRun run;
    put(run.file, "{");
    SECTION("damaged too") {
        put(run.previous, "{");
        CHECK_THAT(run.refused(), ContainsSubstring("cannot be used either") && ContainsSubstring("backup"));
    }
    SECTION("gone") {
        fs::remove(run.previous);
        CHECK_THAT(run.refused(), ContainsSubstring("There is no") && ContainsSubstring("backup"));
    }
}

TEST_CASE("A file of another kind or of another version") {
    const SavedRun run;
    const std::string whole = bytes_of(run.file);
    const std::string schema = "evictlab-evolution/1";
    SECTION("newer") {
        put(run.file, replaced(whole, schema, "evictlab-evolution/2"));
        CHECK_THAT(run.refused(), ContainsSubstring("'evictlab-evolution/2'") &&
                                      ContainsSubstring("a newer evictlab; go on with that version") &&
                                      !ContainsSubstring(".previous")); // nothing is damaged that it could replace
        CHECK_THAT(refusal([&] { RunStore::create(run.file); }), ContainsSubstring("exists already"));
        CHECK_THAT(refusal([&] { state::read_state(run.file); }), ContainsSubstring("a newer evictlab"));
    }
    SECTION("unknown") {
        put(run.file, replaced(whole, schema, "evictlab-evolution/0"));
        CHECK_THAT(run.refused(), ContainsSubstring("made by another evictlab"));
    }
    SECTION("a version to write on a terminal") {
        put(run.file, replaced(whole, schema, "evictlab-evolution/\\u001b[2J" + std::string(100'000, '1')));
        const std::string message = run.refused();
        CHECK(message.size() < 500);
        CHECK(message.find('\x1b') == message.npos);
    }
    SECTION("no run") {
        put(run.file, R"({"schema": "evictlab-bench/1"})");
        CHECK_THAT(run.refused(), ContainsSubstring("is not an evolution run: it has no schema"));
    }
    SECTION("no object") {
        put(run.file, "[1, 2]");
        CHECK_THAT(run.refused(), ContainsSubstring("holds no JSON object"));
    }
    SECTION("no checksum") {
        put(run.file, replaced(whole, "\"checksum\"", "\"check\""));
        CHECK_THAT(run.refused(), ContainsSubstring("its field 'checksum' is missing"));
    }
}

TEST_CASE("A hostile file is refused at once") {
    const SavedRun run;
    SECTION("nested deeply") {
        put(run.file, R"({"schema":"evictlab-evolution/1","run":)" + std::string(3'000'000, '['));
        CHECK_THAT(run.refused(), ContainsSubstring("nests deeper than 64 levels"));
    }
    SECTION("with an object of a million members") {
        std::string text = R"({"schema":"evictlab-evolution/1","run":{)";
        for (int i = 0; i < 1'000'000; ++i) text += "\"" + std::to_string(i) + "\":0,";
        put(run.file, text + "\"last\":0}}");
        CHECK_THAT(run.refused(), ContainsSubstring("has an object of more than 1000 members"));
    }
    SECTION("with ten million values") {
        std::string text = R"({"schema":"evictlab-evolution/1","run":[)";
        for (int i = 0; i < 10'000'000; ++i) text += "0,";
        put(run.file, text + "0]}");
        CHECK_THAT(run.refused(), ContainsSubstring("has more than 4000000 values"));
    }
    SECTION("huge") {
        put(run.file, "");
        fs::resize_file(run.file, std::uintmax_t{1} << 40);
        CHECK_THAT(refused_resume(run.file), ContainsSubstring("is 1099511627776 bytes long, more than"));
    }
    SECTION("brackets in text are not nesting") {
        auto store = RunStore::resume(run.file);
        state::Json content = {{"text", "\\\"" + std::string(500, '[')}};
        store.save(content, {});
        CHECK(state::read_state(run.file) == content);
    }
}

TEST_CASE("What could not be read again is not saved") {
    SavedRun run;
    auto store = RunStore::resume(run.file);
    const auto before = files_in(run.folder.path);
    state::Json deep = 1;
    for (int i = 0; i < 70; ++i) deep = state::Json::array({std::move(deep)});
    CHECK_THAT(refusal([&] { store.save({{"deep", deep}}, {}); }), ContainsSubstring("nests deeper than 64"));
    CHECK_THAT(refusal([&] { store.save({{"text", "\xff\xfe"}}, {}); }), ContainsSubstring("no text in UTF-8"));
    CHECK_THROWS_AS(store.save(3, {}), std::invalid_argument);
    for (const std::string line : {"{\"a\":\n1}", "1", ""})
        CHECK_THROWS_AS(store.save(made_up_content(4), std::span(&line, 1)), std::invalid_argument);
    CHECK(files_in(run.folder.path) == before);
}

TEST_CASE("A journal that is not the saved one") {
    const SavedRun run;
    const std::string whole = bytes_of(run.journal);
    SECTION("gone") {
        fs::remove(run.journal);
        CHECK_THAT(run.refused(), ContainsSubstring("cannot open '" + run.journal.string() + "': No such file") &&
                                      ContainsSubstring("cannot be used either"));
        CHECK_FALSE(fs::exists(run.journal));
    }
    SECTION("shorter, so that the generation before can be used") {
        put(run.journal, whole.substr(0, whole.size() - 3));
        CHECK_THAT(run.refused(), ContainsSubstring("shorter than the " + std::to_string(whole.size())) &&
                                      ContainsSubstring("saved before it is whole"));
    }
    SECTION("edited at its beginning") {
        put(run.journal, replaced(whole, "g1-s0", "g9-s0"));
        CHECK_THAT(run.refused(), ContainsSubstring("was edited, damaged or belongs to another run") &&
                                      ContainsSubstring("cannot be used either"));
        CHECK_THAT(refusal([&] { journal_of(run.file); }), ContainsSubstring("was edited"));
    }
    SECTION("its lines in another order") {
        const std::size_t line = whole.find('\n') + 1;
        put(run.journal, whole.substr(line) + whole.substr(0, line));
        CHECK_THAT(run.refused(), ContainsSubstring("was edited"));
    }
    SECTION("removed while the run is open") {
        auto store = RunStore::resume(run.file);
        fs::remove(run.journal);
        CHECK_THAT(refused_save(store, 4),
                   ContainsSubstring("the one before is intact") && ContainsSubstring("No such file"));
        CHECK_FALSE(fs::exists(run.journal));
        CHECK(state::read_state(run.file) == made_up_content(3));
    }
}
