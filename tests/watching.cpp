// Watching a run as a user does: status and log of runs that ended, go on, were killed or are damaged.
// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "report/run_text.hpp"
#include "tests/support/acting_process.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/page_data.hpp"
#include "tests/support/process.hpp"
#include "tests/support/temporary_folder.hpp"

namespace evolution = evictlab::evolution;
namespace report = evictlab::report;
using namespace evictlab::test;
using Json = nlohmann::json;

namespace {

const std::string small = "evolve --suite micro --seq-len 24 --layers 2 --patterns 2 --population 30 --seed 3 "
                          "--state run.json ";

struct Run {
    TemporaryFolder folder;
    std::string where = folder.path.string();

    explicit Run(const std::string& options) {
        const Outcome made = shell("evictlab " + small + "--quiet " + options, where);
        INFO(made.err);
        REQUIRE(made.code == 0);
    }
    std::string text(const std::string& command) const {
        const Outcome outcome = shell(command, where);
        INFO(outcome.err);
        REQUIRE(outcome.code == 0);
        return outcome.out;
    }
    /// But for who made it, and when.
    Json json(const std::string& command) const {
        Json result = Json::parse(text(command));
        CHECK(result.at("made").at("date") == "2023-11-14T22:13:20Z"); // SOURCE_DATE_EPOCH of shell()
        result.erase("made");
        return result;
    }
    Json saved() const { return Json::parse(bytes_of(folder / "run.json")).at("run"); }
    std::map<std::string, Json> journal() const {
        std::map<std::string, Json> candidates;
        std::ifstream lines(folder / "run.json.journal");
        for (std::string line; std::getline(lines, line);) {
            const Json candidate = Json::parse(line);
            candidates[candidate.at("id").get<std::string>()] = candidate;
        }
        return candidates;
    }
};

void check_refused(const std::string& state, const std::string& where, const std::string& message) {
    for (const std::string command : {"evictlab status ", "evictlab log "}) {
        const Outcome outcome = shell(command + state, where);
        INFO(command << outcome.err);
        CHECK(outcome.code == 1);
        CHECK(outcome.out.empty());
        CHECK_THAT(outcome.err, ContainsSubstring(message));
    }
}

} // namespace

TEST_CASE("status of a run that ended says how it stands and why it stopped") {
    const Run run("--generations 3 --archive 0.2");
    const Json saved = run.saved();
    const Json status = run.json("evictlab status run.json --json");
    CHECK(status.at("schema") == "evictlab-status/1");
    CHECK(status.at("suites").at(0).at("name") == "micro");
    CHECK(status.at("seed") == 3);
    CHECK(status.at("running") == false);
    CHECK(status.at("open_in").is_null());
    CHECK(status.at("seconds_left").is_null());
    CHECK(status.at("generation") == 3);
    CHECK(status.at("stop_reason") == "generations: 3 were made");
    CHECK(status.at("evaluations") == saved.at("counters").at("evaluations"));
    CHECK(status.at("archive") == saved.at("archive").size());
    CHECK(status.at("history").size() == 4);
    CHECK(status.at("judge").is_null());
    const Json& champion = saved.at("champions").back();
    CHECK(status.at("champion").at("formula") == champion.at("formula"));
    CHECK(status.at("champion").at("valid") == champion.at("valid").at("average"));
    const Json& of_status = status.at("champion");
    const Json& shown = of_status.contains("shown") ? of_status.at("shown") : of_status.at("formula");
    const std::string text = run.text("LC_ALL=C evictlab status run.json");
    CHECK_THAT(text, ContainsSubstring("micro by ") && ContainsSubstring("seed 3: ended") &&
                         ContainsSubstring("generations: 3 were made") && ContainsSubstring("% duplicates") &&
                         ContainsSubstring(shown.get<std::string>()) && !ContainsSubstring("█"));
    CHECK_THAT(run.text("LC_ALL=C.UTF-8 evictlab status run.json"), ContainsSubstring("█"));
}

TEST_CASE("status has the oracle, the best published row and the gap that is closed, as the run's summary has them") {
    const TemporaryFolder folder;
    const std::string where = folder.path.string();
    const Outcome made = shell("evictlab " + small + "--quiet --generations 2", where);
    REQUIRE(made.code == 0);
    const auto table = [](const std::string& text) {
        const auto begin = text.find("\noracle "), end = text.find("\n\n", begin);
        REQUIRE(end != std::string::npos);
        return text.substr(begin, end - begin);
    };
    const Outcome status = shell("evictlab status run.json", where);
    CHECK(table(status.out) == table(made.out));
    CHECK_THAT(status.out, ContainsSubstring("on 2 valid patterns; test stays closed until a report"));
    const Json standing = Json::parse(shell("evictlab status run.json --json", where).out).at("standing");
    const Json state = Json::parse(bytes_of(folder / "run.json")).at("run");
    const double oracle = standing.at("oracle").at("valid"), best = standing.at("best_published").at("valid"),
                 champion = state.at("champions").back().at("valid").at("average");
    CHECK(oracle < champion);
    CHECK(standing.at("gap_closed").at("valid").get<double>() == Approx((best - champion) / (best - oracle)));
    CHECK(standing.at("documents") == 2);

    for (const char* spoilt : {"{}", "[", "{\"schema\": \"evictlab-yardsticks/1\", \"of\": \"another run's\"}"}) {
        put(folder / "run.json.yardsticks", spoilt);
        const Outcome without = shell("evictlab status run.json", where);
        CHECK(without.code == 0);
        CHECK_THAT(without.out, ContainsSubstring("the oracle is not known here") && !ContainsSubstring("\noracle "));
    }
    std::filesystem::remove(folder / "run.json.yardsticks");
    REQUIRE(shell("evictlab evolve --state run.json --resume --quiet --generations 3", where).code == 0);
    CHECK(table(shell("evictlab status run.json", where).out).starts_with("\noracle "));
}

TEST_CASE("status and a run's summary fit 80 columns") {
    report::LabelledLines lines(80);
    lines.say("formula",
              "if(relative_pos < 64, keep, window_attn:64) + 0.25*rank:value_norm - 0.125*key_norm*recent_attn");
    lines.say("", "g1-s2, by point_mutation");
    CHECK(lines.take() == "formula     if(relative_pos < 64, keep, window_attn:64) + 0.25*rank:value_norm -\n"
                          "            0.125*key_norm*recent_attn\n"
                          "            g1-s2, by point_mutation\n");
    report::Standing standing;
    standing.measure = "output_error";
    standing.relative = true;
    standing.start_name = std::string(300, 'x');
    standing.start = {0.5, 1.25};
    standing.champion = {0.5, 1.5};
    standing.yardsticks = evolution::Yardsticks{{0.1, 0.2}, {1, 1}, "", "", {}, {}};
    const std::string table = report::standing_text(standing, 80);
    std::istringstream rows(table);
    for (std::string row; std::getline(rows, row);) CHECK(row.size() <= 80);
    CHECK_THAT(table,
               ContainsSubstring("gap closed      +55.6 %  -62.5 %  of the way from best published to oracle\n"));
    CHECK(report::behind_text(standing) == "the champion is behind its start on valid");
}

TEST_CASE("a run's figures on few documents carry no claim, and on six or more they have paired intervals") {
    report::Standing standing;
    standing.relative = true;
    standing.documents = 5;
    CHECK(report::claims_of(standing) ==
          std::vector<std::string>{"too few to tell the champion from its start or from other rows"});
    standing.documents = 6;
    standing.champion_valid = {{0.4, 0.6}, {0.6, 0.6}, {0.7, 0.7}, {0.8, 0.8}, {0.9, 0.9}, {1.0, 1.0}};
    standing.start_valid = {{0.75}, {0.85}, {0.95}, {1.05}, {1.15}, {1.25}};
    standing.yardsticks =
        evolution::Yardsticks{{}, {}, "", "snapkv@kvpress", {{0.5}, {0.7}, {0.6}, {0.9}, {0.8}, {1.0}}, {6}};
    const std::vector<std::string> claims = report::claims_of(standing);
    REQUIRE(claims.size() == 2);
    CHECK(claims[0] == "champion minus start on valid: -0.25000 [-0.25000, -0.25000], lower");
    CHECK(claims[1].starts_with("champion minus snapkv@kvpress on valid: "));
    CHECK(claims[1].ends_with("], not told apart"));
}

TEST_CASE("a champion's intervals are of the means that its figures are, by suite and by measure") {
    report::Standing standing;
    standing.relative = true;
    standing.measure = "predicted_kl";
    standing.documents = 6;
    for (const double error : {0.01, 0.1, 0.5, 1.0, 2.0, 40.0}) {
        standing.champion_valid.push_back({0.5 * error});
        standing.start_valid.push_back({error});
    }
    // Of the geometric mean, which is 0.585 here: half of it is saved on every draw, and the largest document rules
    // none.
    const std::string kl = report::claims_of(standing).at(0);
    const double geometric = std::pow(0.01 * 0.1 * 0.5 * 1.0 * 2.0 * 40.0, 1.0 / 6);
    CHECK(kl.starts_with(fmt::format("champion minus start on valid: {:+.5f} [", -0.5 * geometric)));
    CHECK(kl.ends_with("], lower"));

    standing.measures = {"output_error", "predicted_kl"};
    standing.documents = 12;
    standing.champion_valid = standing.start_valid = {};
    for (int document = 0; document < 12; ++document) {
        standing.start_valid.push_back({1, 1});
        standing.champion_valid.push_back(document < 6 ? std::vector<double>{0.8, 0.6} : std::vector<double>{1, 1});
    }
    CHECK(report::claims_of(standing).empty()); // of which suite they are nobody knows
    standing.yardsticks = evolution::Yardsticks{{}, {}, "", "tova@kvpress", standing.start_valid, {6, 6}};
    CHECK(report::claims_of(standing) ==
          std::vector<std::string>{"champion minus start on valid: -0.15000 [-0.15000, -0.15000], lower",
                                   "champion minus tova@kvpress on valid: -0.15000 [-0.15000, -0.15000], lower"});
    standing.yardsticks->valid_documents = {10, 2};
    CHECK_THAT(report::claims_of(standing).at(0), ContainsSubstring("too few to tell"));
}

TEST_CASE("status of a run in progress names its process; killed, it says that, too") {
    const TemporaryFolder folder;
    const Outcome both = shell(
        "'" EVICTLAB_BINARY "' " + small +
            "--quiet --generations 1000000 & pid=$!; echo $pid; until grep -Eqs '^  .generation.: [1-9]' run.json; do "
            "sleep "
            "0.05; "
            "done; evictlab status run.json --json > going.json; evictlab status run.json; evictlab log run.json > "
            "log.txt; echo $?; kill -KILL $pid; wait $pid; evictlab status run.json",
        folder.path.string());
    const std::string process = "process " + both.out.substr(0, both.out.find('\n')) + " on ";
    CHECK_THAT(both.out, ContainsSubstring("seed 3: running in " + process) && ContainsSubstring("ETA ") &&
                             ContainsSubstring("\n0\n") && ContainsSubstring("seed 3: stopped or killed"));
    const Json going = Json::parse(bytes_of(folder / "going.json"));
    CHECK(going.at("running") == true);
    CHECK_THAT(going.at("open_in").get<std::string>(), ContainsSubstring(process));
    CHECK_THAT(bytes_of(folder / "log.txt"), ContainsSubstring("g0-s0  champion of generation 0, by start"));
}

TEST_CASE("log gives each champion's line of descent without a gap") {
    const Run run("--generations 8");
    const auto journal = run.journal();
    const Json log = run.json("evictlab log run.json --json");
    CHECK(log.at("schema") == "evictlab-log/1");
    const Json& champions = log.at("champions");
    REQUIRE(champions.size() == run.saved().at("champions").size());
    REQUIRE(champions.size() > 2);
    bool between = false;
    std::set<std::string> before;
    for (const Json& champion : champions) {
        const Json& made = journal.at(champion.at("id").get<std::string>());
        CHECK(champion.at("hypothesis") == made.at("hypothesis"));
        CHECK(champion.at("formula") == made.at("formula"));
        std::vector<Json> line(champion.at("by_way_of").begin(), champion.at("by_way_of").end());
        between = between || !line.empty();
        line.push_back(made);
        if (!champion.at("from").is_null()) {
            CHECK(before.contains(champion.at("from").get<std::string>()));
            CHECK(line.front().at("parents").at(0) == champion.at("from"));
        }
        for (std::size_t i = 1; i < line.size(); ++i) {
            CHECK(line[i].at("parents").at(0) == line[i - 1].at("id"));
            CHECK_FALSE(before.contains(line[i - 1].at("id").get<std::string>()));
        }
        before.insert(champion.at("id").get<std::string>());
    }
    CHECK(between);
    const double first = champions.at(0).at("valid").at("average"), second = champions.at(1).at("valid").at("average");
    CHECK(champions.at(0).at("improvement").is_null());
    CHECK(champions.at(1).at("improvement").at("valid").get<double>() == Approx(1 - second / first));
    const std::string text = run.text("evictlab log run.json");
    for (const Json& champion : champions)
        CHECK_THAT(text, ContainsSubstring(champion.at("hypothesis").get<std::string>()) &&
                             ContainsSubstring(champion.at("formula").get<std::string>()));
    CHECK_THAT(text, ContainsSubstring("% lower") && ContainsSubstring("by way of"));
}

TEST_CASE("log has the shorter formula of a champion beside the one that was found") {
    const Run run("--start 'if(relative_pos < -0.2, token_type, recent_attn)' --generations 1");
    const Json start = run.json("evictlab log run.json --json").at("champions").at(0);
    CHECK(start.at("formula") != start.at("shown"));
    CHECK(start.at("shown") == "recent_attn");
    CHECK_THAT(run.text("evictlab log run.json"), ContainsSubstring("\n  simplified recent_attn\n"));
    CHECK(run.text("evictlab report --state run.json --output run.html").empty());
    CHECK(data_of_page(bytes_of(run.folder / "run.html")).at("runs")[0].at("log").at("champions")[0].at("shown") ==
          "recent_attn");
}

TEST_CASE("log gives the accepted and the last rejected candidates where asked") {
    const Run run("--generations 3");
    std::size_t accepted = 0;
    for (const auto& [id, candidate] : run.journal()) accepted += candidate.at("status") == "accepted" ? 1 : 0;
    const Json plain = run.json("evictlab log run.json --json");
    CHECK(plain.at("accepted").empty());
    CHECK(plain.at("rejected").empty());
    CHECK(run.json("evictlab log run.json --json --all").at("accepted").size() == accepted);
    const Json rejected = run.json("evictlab log run.json --json --rejected 2").at("rejected");
    REQUIRE(rejected.size() == 2);
    std::string last;
    std::ifstream lines(run.folder / "run.json.journal");
    for (std::string line; std::getline(lines, line);)
        if (Json::parse(line).at("status") == "rejected") last = line;
    CHECK(rejected.at(1).at("id") == Json::parse(last).at("id"));
    const std::string text = run.text("evictlab log run.json --rejected 2");
    for (const Json& candidate : rejected)
        CHECK_THAT(text, ContainsSubstring(candidate.at("reason").get<std::string>()));
}

TEST_CASE("log counts what became of each operator's candidates") {
    const Run run("--generations 4");
    std::map<std::string, std::map<std::string, int>> expected;
    for (const auto& [id, candidate] : run.journal()) {
        auto& counted = expected[candidate.at("operator").get<std::string>()];
        ++counted["candidates"];
        if (candidate.at("status") != "rejected") ++counted["accepted"];
        if (candidate.at("status") == "champion") ++counted["champions"];
    }
    const Json operators = run.json("evictlab log run.json --json").at("operators");
    REQUIRE(operators.size() == expected.size());
    for (const Json& each : operators)
        for (const char* what : {"candidates", "accepted", "champions"})
            CHECK(each.at(what) == expected.at(each.at("operator").get<std::string>())[what]);
}

TEST_CASE("a run's page has what status and log say, and measures nothing") {
    const Run run("--generations 3");
    CHECK(run.text("evictlab report --state run.json --output run.html").empty());
    const std::string page = bytes_of(run.folder / "run.html");
    const Json data = data_of_page(page);
    CHECK(data.at("schema") == "evictlab-run-page/1");
    REQUIRE(data.at("runs").size() == 1);
    CHECK(data.at("runs")[0].at("status") == run.json("evictlab status run.json --json"));
    CHECK(data.at("runs")[0].at("log") == run.json("evictlab log run.json --json --all"));
    CHECK(!ContainsSubstring("http-equiv=\"refresh\"").match(page));
}

TEST_CASE("a run's page follows it until it ends") {
    const TemporaryFolder folder;
    const Outcome outcome =
        shell("'" EVICTLAB_BINARY "' " + small +
                  "--quiet --generations 1000000 & run=$!; until evictlab status run.json >/dev/null 2>&1; do "
                  "sleep 0.1; done; evictlab report --state run.json --output run.html --follow & page=$!; until test "
                  "-e run.html; do sleep 0.1; done; "
                  "cp run.html going.html; kill -INT $run; wait $run; wait $page; echo followed $?",
              folder.path.string());
    INFO(outcome.err);
    CHECK_THAT(outcome.out, ContainsSubstring("followed 0"));
    const std::string going = bytes_of(folder / "going.html"), last = bytes_of(folder / "run.html");
    CHECK_THAT(going, ContainsSubstring("http-equiv=\"refresh\""));
    CHECK(!ContainsSubstring("http-equiv=\"refresh\"").match(last));
    CHECK(data_of_page(going).at("runs")[0].at("status").at("running") == true);
    CHECK(data_of_page(last).at("runs")[0].at("status").at("running") == false);
}

TEST_CASE("a page that cannot be as asked is refused") {
    const Run run("--generations 1");
    for (const std::string command :
         {"--state run.json --output run.md --follow", "--state run.json --follow",
          "--state run.json --output run.html --brief", "--state run.json --output run.html --plots here"}) {
        const Outcome outcome = shell("evictlab report " + command, run.where);
        INFO(command << outcome.err);
        CHECK(outcome.code == 2);
        CHECK(!std::filesystem::exists(run.folder / "run.html"));
    }
}

TEST_CASE("status and log tell what a judge said") {
    TemporaryFolder tools;
    put(tools / "judge.py", acting_judge);
    const std::string judge = "python3 " + (tools / "judge.py").string() + " works " + (tools / "asked").string();
    const Run run("--generations 2 --verdict '" + judge + "'");
    std::size_t asked = 0;
    std::ifstream lines(tools / "asked");
    for (std::string line; std::getline(lines, line);) asked += line == "start" ? 0 : 1;
    const Json status = run.json("evictlab status run.json --json");
    CHECK(status.at("judge").at("command") == judge);
    CHECK(status.at("judge").at("answers") == asked);
    const Json kl = run.saved().at("champions").back().at("verdict").at("valid").at("average");
    CHECK(status.at("champion").at("kl").at("valid") == kl);
    CHECK_THAT(run.text("evictlab status run.json"), ContainsSubstring(std::to_string(asked) + " answers of python3") &&
                                                         ContainsSubstring("inside the model"));
    CHECK_THAT(run.text("evictlab log run.json"), ContainsSubstring(", KL "));
}

TEST_CASE("what is no run, damaged or newer is refused") {
    const Run run("--generations 1");
    const std::string whole = bytes_of(run.folder / "run.json");
    check_refused("none.json", run.where, "none.json");
    put(run.folder / "cut.json", whole.substr(0, whole.size() / 2));
    check_refused("cut.json", run.where, "is truncated");
    std::string edited = whole;
    edited.replace(edited.find("\"generation\": 1"), 15, "\"generation\": 9");
    put(run.folder / "edited.json", edited);
    check_refused("edited.json", run.where, "is damaged or was edited");
    std::string newer = whole;
    newer.replace(newer.find("evictlab-evolution/1"), 20, "evictlab-evolution/9");
    put(run.folder / "newer.json", newer);
    check_refused("newer.json", run.where, "made by a newer evictlab");
    put(run.folder / "other.json", "{\"rows\": []}");
    check_refused("other.json", run.where, "is not an evolution run");

    put(run.folder / "run.json.journal", "{}\n");
    const Outcome log = shell("evictlab log run.json", run.where);
    CHECK(log.code == 1);
    CHECK_THAT(log.err, ContainsSubstring("run.json.journal"));
    for (const std::string command : {"evictlab status", "evictlab log", "evictlab status a.json b.json",
                                      "evictlab log run.json --rejected few", "evictlab status run.json --all"})
        CHECK(shell(command, run.where).code == 2);
}
