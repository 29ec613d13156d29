// What a run may read can be said, holds for all that brings columns in, stays with the run, and a champion tells where
// it can go. SPDX-License-Identifier: MIT
#include <set>

#include "evolution/candidate.hpp"
#include "evolution/column_choice.hpp"
#include "export/targets.hpp"
#include "framework/capture/suites.hpp"
#include "state/store.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/process.hpp"
#include "tests/support/temporary_folder.hpp"

using namespace evictlab;
using namespace evictlab::test;
using evolution::ColumnChoice;
using evolution::RunConfig;

namespace {

constexpr std::string_view small = "evictlab evolve --suite micro --seq-len 24 --layers 2 --patterns 2 --population 60 "
                                   "--seed 3 --state run.json --quiet ";

Outcome evolve(const TemporaryFolder& folder, const std::string& options) {
    return shell(std::string(small) + options, folder.path.string());
}

/// By all candidates that the run has tried.
std::set<std::string> columns_read(const TemporaryFolder& folder) {
    std::set<std::string> names;
    state::read_journal(folder / "run.json", [&](const state::Json& line) {
        for (const ColumnId id : formula::parse(line.at("formula").get<std::string>()).columns())
            names.insert(columns::name(id));
    });
    return names;
}

evolution::SearchSuites micro() {
    evolution::SearchRequest request;
    request.suites.push_back(make_suite("micro", {.seq_len = 24, .num_layers = 2, .patterns = 2}));
    return evolution::new_search(std::move(request));
}

std::vector<std::string> chosen(const ColumnChoice& choice) {
    RunConfig config;
    choose_columns(micro(), choice, config);
    CHECK(config.columns_only);
    return config.columns;
}

std::string refused(const std::string& command, const TemporaryFolder& folder) {
    const Outcome outcome = evolve(folder, command);
    CHECK(outcome.code == 2);
    return outcome.err;
}

} // namespace

TEST_CASE("a run reads what it may and nothing else, whatever operators and opening strategies bring in") {
    const TemporaryFolder folder;
    const Outcome run = evolve(folder, "--start recent_attn --without token_type,key_norm,position --generations 8");
    INFO(run.err);
    REQUIRE(run.code == 0);
    const std::set<std::string> names = columns_read(folder);
    CHECK(names.size() > 4); // so that it searched
    for (const char* name : {"token_type", "key_norm", "position"}) CHECK(names.count(name) == 0);
}

TEST_CASE("a run on named columns goes on with them alone, to the bits of one that never stopped") {
    const TemporaryFolder whole, parts;
    const std::string options = "--start recent_attn --columns recent_attn,relative_pos --exportable kvpress ";
    REQUIRE(evolve(whole, options + "--generations 6").code == 0);
    REQUIRE(evolve(parts, options + "--generations 3").code == 0);
    const Outcome other = evolve(parts, "--resume --columns recent_attn,relative_pos,key_norm --generations 6");
    CHECK(other.code == 1);
    CHECK_THAT(other.err, ContainsSubstring("the saved run may read other columns; leave what limits them"));
    REQUIRE(evolve(parts, "--resume --generations 6").code == 0);
    CHECK(bytes_of(whole / "run.json.journal") == bytes_of(parts / "run.json.journal"));
    CHECK(columns_read(parts) == std::set<std::string>{"recent_attn", "relative_pos"});
    const state::Json saved = state::read_state(parts / "run.json");
    CHECK(saved.at("config").at("columns") == std::vector<std::string>{"recent_attn", "relative_pos"});
    CHECK_THAT(saved.at("command").get<std::string>(),
               ContainsSubstring("--columns recent_attn,relative_pos --exportable kvpress"));
}

TEST_CASE("a run that was not told what to read is not told so later") {
    const TemporaryFolder folder;
    REQUIRE(evolve(folder, "--generations 1").code == 0);
    CHECK_FALSE(state::read_state(folder / "run.json").at("config").contains("columns_only"));
    for (const char* options : {"--without token_type", "--exportable formula"}) // the second leaves none out
        CHECK_THAT(evolve(folder, std::string("--resume --generations 2 ") + options).err,
                   ContainsSubstring("may read other columns"));
}

TEST_CASE("a column is left out with its parameters and with what is derived of it") {
    const std::vector<std::string> all{"window_attn:16", "window_attn:64", "rank:window_attn:64", "attn_entropy"};
    RunConfig config;
    ColumnChoice choice;
    choice.only = {"position", "recent_attn", "attn_entropy", "recent_attn"};
    CHECK(chosen(choice) == std::vector<std::string>{"position", "recent_attn", "attn_entropy"});
    choice.without = {"attn_entropy"};
    CHECK(chosen(choice) == std::vector<std::string>{"position", "recent_attn"});
    const ColumnChoice usual{{}, {"is_sink", "position"}};
    CHECK(chosen(usual) == std::vector<std::string>{"relative_pos", "sequence_len", "cumulative_attn", "recent_attn",
                                                    "attn_entropy", "key_norm", "token_type", "layer_ratio"});
    config.columns = {"window_attn:64"};
    config.columns_only = true;
    CHECK(not_readable(formula::parse("window_attn:64 + window_attn:16"), config) == "window_attn:16");
    CHECK(not_readable(formula::parse("window_attn:64"), config).empty());
}

TEST_CASE("what cannot be chosen is refused by name") {
    const TemporaryFolder folder;
    CHECK_THAT(refused("--without token_typ", folder), ContainsSubstring("unknown column 'token_typ'"));
    CHECK_THAT(refused("--columns position,,key_norm", folder), ContainsSubstring("nothing between two commas"));
    CHECK_THAT(refused("--columns sequence_len,layer_ratio --start recent_attn", folder),
               ContainsSubstring("the same for all tokens of a row"));
    CHECK_THAT(refused("--without recent_attn", folder),
               ContainsSubstring("--start reads the column recent_attn, which this run may not read"));
    CHECK_THAT(refused("--columns recent_attn,key_cos --start recent_attn", folder),
               ContainsSubstring("the column key_cos"));
    CHECK_THAT(refused("--exportable kvpres", folder), ContainsSubstring("did you mean 'kvpress'?"));
    CHECK_THAT(
        refused("--exportable kvpress --columns token_type,recent_attn", folder),
        ContainsSubstring("names token_type, which cannot go where the champion shall: kvpress: it follows from"));
}

TEST_CASE("one answer says what each place refuses") {
    const auto refuses = [](std::string_view target, std::string_view formula) {
        return refusal(exporting::find_target(target), formula::parse(formula));
    };
    for (const char* target : {"formula", "cpp-plugin", "kvpress", "torch", "engine"})
        CHECK(refuses(target, "recent_attn/(relative_pos + 1)").empty());
    for (const char* target : {"kvpress", "torch"})
        CHECK_THAT(refuses(target, "recent_attn + rank:token_type"),
                   ContainsSubstring("uses the column 'rank:token_type', which it cannot have: it follows from"));
    for (const char* alone : {"token_type + position", "rank:replayed_attn:all", "cumulative_attn + value_norm"})
        CHECK(refuses("engine", alone).empty());
    CHECK_THAT(refuses("engine", "rank:replayed_attn:all + observed_attn"),
               ContainsSubstring("not beside the attention of all queries"));
    CHECK_THAT(refuses("engine", "head_share:key_norm"), ContainsSubstring("'head_share:key_norm'"));
    CHECK_THAT(refuses("engine", "reconstruction_attn"), ContainsSubstring("second pass"));
    CHECK(refuses("cpp-plugin", "token_type").empty());
    CHECK(exporting::destinations(formula::parse("recent_attn")) ==
          std::vector<std::string>{"formula, cpp-plugin, kvpress, torch, engine"});
}

TEST_CASE("a champion that cannot go somewhere says so in the summary and in the status") {
    const TemporaryFolder folder;
    const Outcome run = evolve(folder, "--start 'recent_attn + 0.001*token_type' --generations 0");
    INFO(run.err);
    REQUIRE(run.code == 0);
    for (const std::string& told : {run.out, shell("evictlab status run.json", folder.path.string()).out})
        for (const char* part : {"goes to     formula, cpp-plugin, engine\n",
                                 "not kvpress, torch: it uses the column 'token_type', which it cannot have"})
            CHECK_THAT(told, ContainsSubstring(part));
    const auto json = nlohmann::json::parse(shell("evictlab status run.json --json", folder.path.string()).out);
    CHECK(json.at("champion").at("not_exportable").size() == 2);
    CHECK(shell("evictlab export run.json --to kvpress", folder.path.string()).code == 2);
}

TEST_CASE("the quickstart's champion can go everywhere") {
    const std::string script = bytes_of(std::filesystem::path(EVICTLAB_SOURCE_DIR) / "scripts" / "quickstart");
    const std::string call = "\"$evictlab\" evolve ";
    const std::size_t at = script.find(call), end = script.find(" --state", at);
    REQUIRE(end != std::string::npos);
    const std::string options = script.substr(at + call.size(), end - at - call.size());
    const TemporaryFolder folder;
    const std::string where = folder.path.string();
    const Outcome run = shell("evictlab evolve " + options + " --state run.json --quiet --generations 4 " +
                                  "--seq-len 24 --layers 2 --patterns 2",
                              where);
    INFO(run.err);
    REQUIRE(run.code == 0);
    CHECK_THAT(run.out, ContainsSubstring("goes to     formula, cpp-plugin, kvpress, torch, engine\n"));
    for (const exporting::Target& target : exporting::targets()) {
        if (!target.written) continue;
        const Outcome exported = shell("evictlab export run.json --name mine --to " + std::string(target.name), where);
        INFO(exported.err);
        CHECK(exported.code == 0);
    }
}
