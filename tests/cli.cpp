// The command line as a user types it: output on standard output, the rest on standard error, and exit codes.
// SPDX-License-Identifier: MIT
#include <csignal>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <set>

#include "tests/support/acting_process.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/process.hpp"
#include "tests/support/saved_run.hpp"

using evictlab::test::acting_judge;
using evictlab::test::acting_proposer;
using evictlab::test::bytes_of;
using evictlab::test::Outcome;
using evictlab::test::put;
using evictlab::test::shell;
using evictlab::test::TemporaryFolder;
namespace state = evictlab::state;
using Json = nlohmann::json;

namespace {

std::set<std::string> scorers_of(const Json& bench) {
    std::set<std::string> names;
    for (const Json& row : bench.at("rows")) names.insert(row.at("scorer").get<std::string>());
    return names;
}

void check_wrong_use(const std::string& command, const std::string& message) {
    const Outcome outcome = shell(command);
    INFO(command);
    CHECK(outcome.code == 2);
    CHECK(outcome.out.empty());
    CHECK_THAT(outcome.err, ContainsSubstring(message));
}

} // namespace

TEST_CASE("Every command has help with examples") {
    const Outcome all = shell("evictlab --help");
    CHECK(all.code == 0);
    for (const std::string command :
         {"bench", "evolve", "status", "log", "export", "report", "plugins", "check", "formula"}) {
        CHECK_THAT(all.out, ContainsSubstring(command));
        const Outcome help = shell("evictlab " + command + " --help");
        CHECK(help.code == 0);
        CHECK_THAT(help.out, ContainsSubstring("Examples:\n  evictlab " + command));
    }
    CHECK_THAT(shell("evictlab --version").out, ContainsSubstring("evictlab 1."));
    CHECK(shell("evictlab -V").out == shell("evictlab --version").out);
}

TEST_CASE("evictlab help COMMAND is the command's own help") {
    for (const char* itself : {"evictlab help", "evictlab help help", "evictlab help --help"})
        CHECK(shell(itself).out == shell("evictlab --help").out);
    for (const std::string command : {"bench", "plugins describe", "formula check"}) {
        const Outcome help = shell("evictlab help " + command);
        INFO(command);
        CHECK(help.code == 0);
        CHECK(help.out == shell("evictlab " + command + " --help").out);
    }
    check_wrong_use("evictlab help banch", "unknown command 'banch'; did you mean 'bench'?");
}

TEST_CASE("Wrong use exits with 2 and says what there is") {
    check_wrong_use("evictlab", "Usage: evictlab COMMAND");
    check_wrong_use("evictlab banch", "unknown command 'banch'; did you mean 'bench'? There are: bench, evolve,");
    check_wrong_use("evictlab zebra", "unknown command 'zebra'; there are: bench, evolve,");
    check_wrong_use("evictlab bench", "no suite given: add --suite NAME with one of micro, full");
    check_wrong_use("evictlab bench --suite nano", "unknown suite 'nano'; there are: micro, full");
    check_wrong_use("evictlab bench --suite mikro", "unknown suite 'mikro'; did you mean 'micro'? There are: micro,");
    check_wrong_use("evictlab bench --suite micro --scorers cumulative_attn", "did you mean '=cumulative_attn'?");
    check_wrong_use("evictlab bench --suite micro --nonsense", "'--nonsense'; see --help");
    check_wrong_use("evictlab bench --suit micro", "'--suit'; did you mean '--suite'? See --help");
    check_wrong_use("evictlab bench --retentoin=0.5 --suite micro", "did you mean '--retention'?");
    check_wrong_use("evictlab bench --suite micro extra", "takes no arguments other than options");
    check_wrong_use("evictlab bench --suite micro --layers four", "--layers is 'four', but must be a whole number");
    check_wrong_use("evictlab bench --suite micro --retention 1.5", "--retention 1.5 is out of range");
    check_wrong_use("evictlab bench --suite micro --retention 0.5,0.5", "given twice");
    check_wrong_use("evictlab bench --suite full --seq-len 9", "--seq-len belongs to suite 'micro'");
    check_wrong_use("evictlab bench --suite micro --format xml", "xml");
    check_wrong_use("evictlab bench --suite micro --scorers h2oo", "h2o");
    check_wrong_use("evictlab bench --suite micro --scorers h2o@nope", "seed");
    check_wrong_use("evictlab bench --suite micro --scorers h2o:window=-1", "window");
    check_wrong_use("evictlab bench --suite micro --scorers '=recent_attn + + 1'", "^");
    check_wrong_use("evictlab bench --suite micro --scorers '=foo'", "known columns: attn_entropy");
    check_wrong_use("evictlab formula check 'rank:cumulative_atn'", "did you mean 'cumulative_attn'?");
    check_wrong_use("evictlab describe h2o@paper", "did you mean 'plugins describe'?");
    check_wrong_use("evictlab report --bench b.json --verdict v.json --columns 80", "without --bench");
    check_wrong_use("evictlab bench --suite micro --plugin-dir /nowhere", "'/nowhere' is not a folder");
    check_wrong_use("evictlab evolve --suite micro", "no state file given");
    check_wrong_use("evictlab evolve --replay other", "there is seed-journey");
    check_wrong_use("evictlab report",
                    "give --bench FILE, --state FILE, --verdict FILE, --engine FILE or --tasks FILE");
    check_wrong_use("evictlab report --tasks t.json --output x.html", "--tasks FILE stands in no page yet");
    check_wrong_use("evictlab plugins describe nothing", "no plugin 'nothing'; there are:");
    check_wrong_use("evictlab formula check 'min(1'", "^");
    check_wrong_use("evictlab formula chec 1", "it is check, print or explain");
}

TEST_CASE("bench gives JSON of what was asked, the oracle and random, and nothing else on standard output") {
    const Outcome outcome =
        shell("evictlab bench --suite micro --scorers h2o@seed,streaming_llm:window=32 --format json");
    REQUIRE(outcome.code == 0);
    const Json bench = Json::parse(outcome.out);
    CHECK(scorers_of(bench) ==
          std::set<std::string>{"h2o@seed", "streaming_llm@seed:window=32", "random@seed", "oracle"});
    CHECK(bench.at("suite").at("name") == "micro");
    CHECK(bench.at("retentions") == Json{0.25, 0.5, 0.75});
    CHECK(bench.at("rows").at(0).at("class").at("reads") == "all attn");
    CHECK(bench.at("rows").at(1).at("class").at("query_aware") == false);
    const Json& test = bench.at("rows").at(0).at("splits").at("test");
    CHECK(test.at("avg").get<double>() ==
          Approx((test.at("0.25").get<double>() + test.at("0.50").get<double>() + test.at("0.75").get<double>()) / 3));
    CHECK(shell("evictlab bench --suite micro --scorers h2o@seed,streaming_llm:window=32 --format json --threads 1")
              .out == outcome.out);
}

TEST_CASE("a terminal's table says of how many patterns or documents it is, and what a bare name ran") {
    const Outcome table = shell("evictlab bench --suite micro --scorers h2o --patterns 2 --split test");
    CHECK_THAT(table.out, ContainsSubstring("\nPatterns: 2 test, 2 valid, 2 train.\nattention_loss: share of the "
                                            "attention that lies on evicted tokens, from 0 to 1; lower is better.\n") &&
                              !ContainsSubstring("h2o is"));
    CHECK_THAT(shell("evictlab bench --suite micro --scorers h2o --patterns 2 --format csv").out,
               !ContainsSubstring("lower is better"));
    const Outcome real = shell("evictlab bench --suite smollm2 --scorers snapkv --patterns 1 --retention 0.25");
    CHECK_THAT(real.out, ContainsSubstring("\nDocuments: 1 valid, 1 train. Figures are of the valid split; test stays "
                                           "closed until --split test, or a report.\n") &&
                             ContainsSubstring("1 document: too few to tell rows apart, so there are no ranks") &&
                             ContainsSubstring("    -  snapkv@kvpress") && !ContainsSubstring("the seed's rule"));
}

TEST_CASE("a bench shows the test split only when it is asked for") {
    const std::string bench = "evictlab bench --suite micro --scorers h2o@seed --patterns 2 --seq-len 24 --layers 2 ";
    const Json figures = Json::parse(shell(bench + "--format json").out).at("rows").at(0).at("splits");
    const auto shown = [&](const char* split) {
        return fmt::format("{:.4f}", figures.at(split).at("avg").get<double>());
    };
    const std::string usual = shell(bench).out, test = shell(bench + "--split test").out;
    CHECK_THAT(usual, ContainsSubstring(shown("valid")) && !ContainsSubstring(shown("test")));
    CHECK(usual == shell(bench + "--split valid").out);
    CHECK_THAT(test, ContainsSubstring(shown("test")) && ContainsSubstring(shown("valid")));
    CHECK_THAT(shell(bench + "--split train").out,
               ContainsSubstring(shown("train")) && !ContainsSubstring(shown("valid")));
    const std::string csv = shell(bench + "--format csv").out;
    CHECK_THAT(csv, ContainsSubstring("suite,protocol,measure,split,documents,rank,scorer,kind,overshoots,") &&
                        ContainsSubstring("\nmicro,rescore,attention_loss,valid,2,1,") &&
                        ContainsSubstring("\nmicro,rescore,attention_loss,valid,2,,oracle,bound,false,") &&
                        !ContainsSubstring("test"));
    check_wrong_use(bench + "--split tset", "--split is 'tset', but must be train, valid or test");
    check_wrong_use(bench + "--split test --format json", "JSON has all splits");
}

TEST_CASE("commands take a scorer as bench does, and name near columns") {
    const Outcome preset = shell("evictlab plugins describe h2o@paper");
    CHECK(preset.code == 0);
    CHECK_THAT(preset.out, ContainsSubstring("preset      paper") && !ContainsSubstring("preset      seed"));
    CHECK_THAT(shell("evictlab plugins describe 'adakv@kvpress(snapkv@kvpress)'").out,
               ContainsSubstring("over snapkv@kvpress:") && ContainsSubstring("class       query-aware"));
    CHECK_THAT(shell("evictlab plugins describe '=recent_attn'").out, ContainsSubstring("formula     recent_attn"));
    CHECK(shell("evictlab check h2o@paper --only quiet").code == 0);
    check_wrong_use("evictlab check =recent_attn", "is a formula");
    for (const char* formula : {"recent_attn", "=recent_attn"})
        CHECK(shell(std::string("evictlab formula check ") + formula).out == "ok: 1 nodes, depth 1\n");
    CHECK_THAT(shell("evictlab formula check =1/0").out, ContainsSubstring("all are ties"));
    CHECK_THAT(shell("evictlab bench --suite micro --scorers =0,=recent_attn --patterns 1 --seq-len 16").out,
               ContainsSubstring("\n=0 scores all tokens alike") && !ContainsSubstring("\n=recent_attn scores"));
    CHECK_THAT(shell("evictlab formula print h2o@seed").out, ContainsSubstring("cumulative_attn"));
    check_wrong_use("evictlab formula check h2o@paper", "gives no formula");
    check_wrong_use("evictlab formula check recent_atn", "did you mean 'recent_attn'?");
    check_wrong_use("evictlab export h2o@paper --to formula", "so it cannot be exported; h2o@seed can");
    check_wrong_use("evictlab evolve --suite micro --state /tmp/never.json --start h2o@paper", "gives no formula");
}

TEST_CASE("bench measures other sizes, seeds and retentions, and a formula by file") {
    const TemporaryFolder folder;
    put(folder / "mine.formula", "# a comment\nrecent_attn/min(relative_pos + 1, 33) # another\n");
    const Outcome outcome = shell(
        "evictlab bench --suite micro --seq-len 48 --layers 2 --patterns 2 --seed-offset 7000 --retention 0.1,0.9 "
        "--scorers mine.formula --format csv -o out.csv",
        folder.path.string());
    INFO(outcome.err);
    REQUIRE(outcome.code == 0);
    CHECK(outcome.out.empty());
    CHECK_THAT(bytes_of(folder / "out.csv"), ContainsSubstring("mine") && ContainsSubstring("oracle"));
}

TEST_CASE("A file that is no plugin costs its own row and exit code 1") {
    const TemporaryFolder folder;
    put(folder / "broken.so", "not a library");
    const Outcome found =
        shell("evictlab bench --suite micro --scorers h2o --format json --plugin-dir .", folder.path.string());
    CHECK(found.code == 1);
    CHECK_THAT(found.err, ContainsSubstring("broken.so"));
    CHECK(scorers_of(Json::parse(found.out)).contains("h2o@seed"));
    const Outcome named =
        shell("evictlab bench --suite micro --scorers h2o,./broken.so --format json", folder.path.string());
    CHECK(named.code == 1);
    CHECK(scorers_of(Json::parse(named.out)).size() == 3);
}

TEST_CASE("of two scorers that would have one name none is left out in silence") {
    const TemporaryFolder folder;
    std::filesystem::create_directories(folder / "a");
    std::filesystem::create_directories(folder / "b");
    put(folder / "a" / "mine.formula", "recent_attn");
    put(folder / "b" / "mine.formula", "key_norm");
    const std::string bench = "evictlab bench --suite micro --patterns 1 --format json --scorers ";
    const Outcome two = shell(bench + "a/mine.formula,b/mine.formula", folder.path.string());
    CHECK(two.code == 2);
    CHECK_THAT(two.err, ContainsSubstring("both be called mine"));
    const std::string wrapped = "evictlab bench --suite smollm2 --no-cost --retention 0.1 --format json --scorers "
                                "'global@kvpress(a/mine.formula),global@kvpress(b/mine.formula)'";
    const Outcome inside = shell(wrapped, folder.path.string());
    CHECK(inside.code == 2);
    CHECK_THAT(inside.err, ContainsSubstring("both be called global@kvpress(mine)"));
    put(folder / "b" / "mine.formula", "recent_attn");
    CHECK(shell(bench + "a/mine.formula,b/mine.formula", folder.path.string()).code == 0);
    const Outcome once = shell(wrapped, folder.path.string());
    REQUIRE(once.code == 0);
    CHECK(scorers_of(Json::parse(once.out)).contains("global@kvpress(mine)"));
}

TEST_CASE("plugins are listed and described, by the search path of the environment too") {
    const Outcome list = shell("evictlab plugins");
    CHECK(list.code == 0);
    for (const char* id : {"streaming_llm", "h2o", "snapkv", "pyramidkv", "knorm", "tova", "position_corrected_h2o",
                           "random", "hybrid", "hybrid_start", "evolved"})
        CHECK_THAT(list.out, ContainsSubstring(id));
    CHECK_THAT(shell("evictlab plugins describe h2o").out, ContainsSubstring("window"));
    CHECK_THAT(shell("evictlab plugins describe snapkv").out,
               ContainsSubstring("class       query-aware, one pass") &&
                   ContainsSubstring("reads the attention of the last 32 queries"));
    CHECK_THAT(shell("evictlab plugins describe adakv").out,
               ContainsSubstring("class       its base's, with head budgets\n"));
    const TemporaryFolder folder;
    put(folder / "text.so", "text");
    const Outcome from_environment =
        shell("export EVICTLAB_PLUGIN_PATH='" + folder.path.string() + "'; evictlab plugins list");
    CHECK(from_environment.code == 1);
    CHECK_THAT(from_environment.err, ContainsSubstring("text.so"));
}

TEST_CASE("formulas are checked, printed and explained") {
    CHECK_THAT(shell("evictlab formula check 'recent_attn*2'").out, ContainsSubstring("ok"));
    const auto hash_of = [](const std::string& text) {
        const std::string out = shell("evictlab formula print '" + text + "'").out;
        return out.substr(out.find("hash"));
    };
    CHECK(hash_of("2*recent_attn + key_norm") == hash_of("key_norm + recent_attn*(1 + 1)"));
    CHECK(hash_of("2*recent_attn") != hash_of("3*recent_attn"));
    CHECK_THAT(shell("evictlab formula explain 'if(is_sink, keep, key_norm)'").out, ContainsSubstring("key_norm"));
    CHECK_THAT(shell("evictlab plugins columns").out, ContainsSubstring("recent_attn"));
}

TEST_CASE("A run is started, not started twice, resumed, and reported with every row") {
    const TemporaryFolder folder;
    const std::string where = folder.path.string();
    const std::string small =
        "evictlab evolve --suite micro --seq-len 24 --layers 2 --patterns 2 --population 30 --seed 3 "
        "--state run.json ";
    const Outcome first = shell(small + "--generations 2", where);
    INFO(first.err);
    REQUIRE(first.code == 0);
    CHECK_THAT(first.out, ContainsSubstring("champion") && ContainsSubstring("\nbest published  ") &&
                              ContainsSubstring("\nstart ") && ContainsSubstring("hybrid_start\n") &&
                              ContainsSubstring("\noracle ") && ContainsSubstring("\ngap closed ") &&
                              ContainsSubstring("lower is better\n            of 2 train and 2 valid patterns; test "
                                                "stays closed until a report\n"));
    const std::string saved = bytes_of(folder / "run.json");

    const Outcome again = shell(small + "--generations 3", where);
    CHECK(again.code == 1);
    CHECK_THAT(again.err, ContainsSubstring("--resume"));
    CHECK(bytes_of(folder / "run.json") == saved);

    const Outcome other_seed = shell("evictlab evolve --state run.json --resume --seed 4", where);
    CHECK(other_seed.code != 0);
    CHECK_THAT(other_seed.err, ContainsSubstring("seed"));
    const Outcome other_suite = shell("evictlab evolve --suite micro --state run.json --resume", where);
    CHECK(other_suite.code != 0);
    CHECK_THAT(other_suite.err, ContainsSubstring("suite"));
    const Outcome other_retentions = shell("evictlab evolve --state run.json --resume --retention 0.3", where);
    CHECK(other_retentions.code == 1);
    CHECK_THAT(other_retentions.err, ContainsSubstring("cannot resume: retentions"));
    check_wrong_use("cd '" + where + "'; evictlab evolve --state run.json --resume --seq-len 32",
                    "name it, too, with --suite");
    CHECK(bytes_of(folder / "run.json") == saved);

    REQUIRE(shell("evictlab evolve --state run.json --resume --generations 4", where).code == 0);
    const Outcome report = shell("evictlab report --state run.json --output board.json", where);
    INFO(report.err);
    REQUIRE(report.code == 0);
    const Json board = Json::parse(bytes_of(folder / "board.json"));
    CHECK_THAT(board.dump(), ContainsSubstring("random@seed") && ContainsSubstring("oracle") &&
                                 ContainsSubstring("hybrid_start") && ContainsSubstring("champion"));
    CHECK_THAT(shell("evictlab report --state run.json", where).out, ContainsSubstring("| "));

    const Json champion = Json::parse(bytes_of(folder / "run.json")).at("run").at("champions").back();
    for (const Json& row : board.at("suites").at(0).at("rows"))
        if (row.at("scorer").get<std::string>().starts_with("champion"))
            REQUIRE(shell(row.at("command").get<std::string>(), where).code == 0);
    const Json repeated = Json::parse(bytes_of(folder / "repeated.json")).at("run").at("champions").back();
    CHECK(repeated == champion);
}

TEST_CASE("A captured suite is reported with its verdict and its plot") {
    const TemporaryFolder folder;
    const std::string where = folder.path.string();
    const Outcome bench =
        shell("evictlab bench --suite smollm2 --scorers snapkv,tova --format json --output bench.json", where);
    INFO(bench.err);
    REQUIRE(bench.code == 0);
    const Json measured = Json::parse(bytes_of(folder / "bench.json"));
    Json verdict{{"schema", "evictlab-verdict/1"}, {"suite", measured.at("suite")}, {"model", "a model"},
                 {"protocol", "prefill"},          {"retentions", {0.5}},           {"documents", Json::array()},
                 {"rows", Json::array()}};
    for (Json document : measured.at("traces").at("test")) {
        document["split"] = "test";
        verdict["documents"].push_back(document);
    }
    const std::vector<std::vector<double>> figures(verdict["documents"].size(), {0.25});
    for (const std::string scorer : {"snapkv@kvpress", "tova@kvpress"})
        verdict["rows"].push_back({{"scorer", scorer}, {"kl", figures}, {"delta_nll", figures}});
    put(folder / "verdict.json", verdict.dump());

    const std::string report = "evictlab report --bench bench.json --verdict verdict.json --output board.md";
    const Outcome drawn = shell(report + " --plots plots", where);
    INFO(drawn.err);
    REQUIRE(drawn.code == 0);
    const std::string board = bytes_of(folder / "board.md");
    CHECK_THAT(board, ContainsSubstring("### Suite `smollm2`, protocol `prefill`") &&
                          ContainsSubstring("KL, a model") && ContainsSubstring("| scorer | prose (1) |"));
    const bool has_plot = std::filesystem::exists(folder / "plots" / "smollm2-prefill.svg");
    CHECK((board.find("](<plots/smollm2-prefill.svg>)") != std::string::npos) == has_plot);
    CHECK(has_plot == (drawn.err.find("gnuplot is not installed") == std::string::npos));

    REQUIRE(shell(report + " --plots none", where).err.empty());
    CHECK_THAT(bytes_of(folder / "board.md"), !ContainsSubstring(".svg"));
    CHECK(shell("evictlab report --bench bench.json --verdict bench.json", where).code == 1);

    const Outcome alone = shell("evictlab report --verdict verdict.json", where);
    CHECK(alone.code == 0);
    CHECK_THAT(alone.out, ContainsSubstring("#### The verdict of `a model` itself"));
    CHECK(shell("evictlab report --verdict verdict.json --output board.md", where).code == 0);
    CHECK(shell("evictlab report --bench bench.json --headline", where).code == 2);
}

TEST_CASE("Ctrl-C stops a run with its state saved, and it goes on") {
    const TemporaryFolder folder;
    const std::string where = folder.path.string();
    const Outcome stopped =
        shell("'" EVICTLAB_BINARY "' evolve --suite micro --seq-len 24 --layers 2 --patterns 2 --population 30 --state "
              "run.json & pid=$!; while [ ! -s run.json.journal ]; do sleep 0.05; done; kill -INT $pid; wait $pid",
              where);
    CHECK(stopped.code == 130);
    CHECK_THAT(stopped.err, ContainsSubstring("--resume"));
    const Outcome resumed = shell("evictlab evolve --state run.json --resume --max-seconds 0.2", where);
    INFO(resumed.err);
    CHECK(resumed.code == 0);
}

TEST_CASE("The seed's journey is replayed as a table") {
    const Outcome outcome = shell("evictlab evolve --replay seed-journey");
    CHECK(outcome.code == 0);
    CHECK_THAT(outcome.out, ContainsSubstring("layer_aware") && ContainsSubstring("6.92") && ContainsSubstring("7.07"));
}

TEST_CASE(
    "a search on a captured suite is measured by prefill, goes on, and is reported beside the published methods") {
    const TemporaryFolder folder;
    const std::string in = folder.path.string();
    const std::string start =
        "evictlab evolve --suite smollm2 --patterns 1 --start 'if(position < 4, keep, value_norm)' "
        "--population 8 --retention 0.25 --state run.json --quiet";
    const Outcome first = shell(start + " --generations 1", in);
    INFO(first.err);
    REQUIRE(first.code == 0);
    CHECK_THAT(first.out, ContainsSubstring("in 1 generation,"));
    REQUIRE(shell("evictlab evolve --state run.json --resume --generations 2 --quiet", in).code == 0);
    REQUIRE(shell("evictlab report --state run.json --output board.md --plots none", in).code == 0);
    const std::string board = bytes_of(folder / "board.md");
    CHECK_THAT(board, ContainsSubstring("protocol `prefill`") && ContainsSubstring("`champion ") &&
                          ContainsSubstring("`snapkv@kvpress`"));
    const Outcome refused = shell("evictlab evolve --suite micro --start value_norm --state other.json", in);
    CHECK(refused.code == 2);
    CHECK_THAT(refused.err, ContainsSubstring("'value_norm'") && ContainsSubstring("captured suites"));
}

TEST_CASE("a search on two suites is by the mean of errors relative to each one's best published row") {
    const TemporaryFolder folder;
    const std::string in = folder.path.string();
    const std::string sizes = "--suite smollm2 --suite micro --seq-len 24 --layers 2 --patterns 1 ";
    const Outcome outcome = shell("evictlab evolve " + sizes +
                                      "--start 'recent_attn + 0.3*cumulative_attn' --seed 2 "
                                      "--population 8 --generations 1 --state run.json --quiet",
                                  in);
    INFO(outcome.err);
    REQUIRE(outcome.code == 0);
    CHECK_THAT(outcome.err, ContainsSubstring("the model itself"));
    const Json run = state::read_state(folder / "run.json");
    CHECK(run.at("retentions") == Json({0.1, 0.25, 0.5, 0.75, 0.25, 0.5, 0.75}));
    CHECK(run.at("suite").at("measure") == "output_error");
    REQUIRE(run.at("more_suites").size() == 1);
    CHECK(run.at("more_suites")[0].at("measure") == "attention_loss");
    // Only what both suites give.
    const auto columns = run.at("config").at("columns").get<std::vector<std::string>>();
    CHECK(std::count(columns.begin(), columns.end(), "window_attn:64") == 1);
    CHECK(std::count(columns.begin(), columns.end(), "expected_attn") == 0);
    // The start's errors over those of the best published rows, as a bench has them.
    const auto start = run.at("champions")[0].at("train").at("by_retention").get<std::vector<double>>();
    REQUIRE(shell("evictlab bench --suite smollm2 --patterns 1 --scorers '=recent_attn + 0.3*cumulative_attn' --format "
                  "json --output bench.json",
                  in)
                .code == 0);
    const Json bench = Json::parse(bytes_of(folder / "bench.json"));
    const double error = bench.at("rows")[0].at("splits").at("train").at("0.10");
    CHECK(start[0] == Approx(error / run.at("suite").at("reference").at("train")[0].get<double>()));
    CHECK(run.at("champions")[0].at("train").at("average") ==
          Approx((start[0] + start[1] + start[2] + start[3]) / 8 + (start[4] + start[5] + start[6]) / 6));

    REQUIRE(shell("evictlab evolve --state run.json --resume --generations 2 --quiet", in).code == 0);
    CHECK(shell("evictlab evolve " + sizes + "--start position --state run.json --resume", in).code == 1);
    check_wrong_use("evictlab evolve --suite micro --suite micro --state other.json", "given twice");
    check_wrong_use("evictlab evolve --suite smollm2 --measure predicted_kl --state other.json", "has no measure");
    check_wrong_use("evictlab evolve --suite micro --judged 2 --state other.json", "--judged belongs to --verdict");
}

TEST_CASE("a search at a shape keeps it with its state, goes on at it and is reported at it") {
    const TemporaryFolder folder;
    const std::string in = folder.path.string();
    const std::string run = "evictlab evolve --suite smollm2 --patterns 1 --start 'window_attn:64' --population 6 "
                            "--seed 3 --measure attention_loss --quiet --state ";
    const Outcome outcome = shell(run + "run.json --granularity model --join rank --block 16 --generations 1", in);
    INFO(outcome.err);
    REQUIRE(outcome.code == 0);
    const Json state = state::read_state(folder / "run.json");
    CHECK(state.at("shape") ==
          Json::parse(R"({"granularity": "model", "join": "rank", "block": 16, "sinks": 0, "recent": 0})"));
    CHECK_THAT(state.at("command").get<std::string>(), ContainsSubstring("--granularity model --join rank --block 16"));
    REQUIRE(shell("evictlab evolve --state run.json --resume --generations 2 --quiet", in).code == 0);
    const Outcome other = shell("evictlab evolve --state run.json --resume --granularity layer", in);
    CHECK(other.code == 1);
    CHECK_THAT(other.err, ContainsSubstring("the shape is \"one set for all layers and heads"));
    const Outcome report = shell("evictlab report --state run.json --brief", in);
    REQUIRE(report.code == 0);
    CHECK_THAT(report.out,
               ContainsSubstring("Shape: one set for all layers and heads, scores joined by rank; blocks of "
                                 "16 tokens (3 of the model's 30 layers"));
    check_wrong_use("evictlab evolve --suite micro --granularity layer --state other.json",
                    "the protocol rescore is the original benchmark's");
    check_wrong_use("evictlab evolve --suite smollm2 --join max --state other.json", "--join is for --granularity");
}

TEST_CASE("a search for caches of so many tokens keeps the numbers with its state and is reported by them") {
    const TemporaryFolder folder;
    const std::string in = folder.path.string();
    const Outcome outcome =
        shell("evictlab evolve --suite smollm2 --patterns 1 --start 'window_attn:64' --population 6 "
              "--seed 3 --measure attention_loss --quiet --state run.json --keep 48,128 "
              "--generations 1",
              in);
    INFO(outcome.err);
    REQUIRE(outcome.code == 0);
    const Json state = state::read_state(folder / "run.json");
    CHECK(state.at("keep") == Json::parse("[48, 128]"));
    CHECK(state.at("retentions").size() == 2);
    CHECK_THAT(state.at("command").get<std::string>(), ContainsSubstring("--keep 48,128"));
    REQUIRE(shell("evictlab evolve --state run.json --resume --generations 2 --quiet", in).code == 0);
    REQUIRE(shell("evictlab evolve --state run.json --resume --generations 2 --quiet --keep 48,128", in).code == 0);
    const Outcome other = shell("evictlab evolve --state run.json --resume --keep 64", in);
    CHECK(other.code == 1);
    CHECK_THAT(other.err, ContainsSubstring("the tokens that are kept are [48,128] in the saved run, but [64] now"));
    const Outcome report = shell("evictlab report --state run.json --brief", in);
    INFO(report.err);
    REQUIRE(report.code == 0);
    CHECK_THAT(report.out, ContainsSubstring("Kept tokens: 48"));
    check_wrong_use("evictlab evolve --suite micro --keep 64 --state other.json",
                    "the protocol rescore is the original benchmark's");
    check_wrong_use("evictlab evolve --suite smollm2 --keep 64 --retention 0.5 --state other.json",
                    "give --retention or --keep");
}

TEST_CASE("a judge and a proposer are asked from the command line, and what they said is kept beside the state") {
    const TemporaryFolder folder;
    const std::string in = folder.path.string();
    put(folder / "judge.py", acting_judge);
    put(folder / "proposer.py", acting_proposer);
    const std::string run = "evictlab evolve --suite smollm2 --patterns 1 --population 8 --seed 2 --state run.json "
                            "--start 'window_attn:64' --verdict \"python3 judge.py 'is plain' judge.log\" --judged 2 "
                            "--proposer \"python3 proposer.py 'is plain' proposer.log\" --proposals 3 ";
    const Outcome outcome = shell(run + "--generations 2 --quiet", in);
    INFO(outcome.err);
    REQUIRE(outcome.code == 0);
    CHECK_THAT(outcome.out, ContainsSubstring("inside the model"));
    CHECK(std::filesystem::exists(folder / "run.json.verdicts"));
    CHECK(std::filesystem::exists(folder / "run.json.proposals"));
    std::filesystem::remove(folder / "judge.py"); // a resume that asks nothing new does not need it
    REQUIRE(shell("evictlab evolve --state run.json --resume --generations 2 --quiet", in).code == 0);
    put(folder / "judge.py", "import sys; sys.exit(3)");
    const Outcome broken = shell("evictlab evolve --state run.json --resume --generations 3 --quiet", in);
    CHECK(broken.code == 1);
    CHECK_THAT(broken.err, ContainsSubstring("judge"));
    CHECK(state::read_state(folder / "run.json").at("generation") == 2);
}

TEST_CASE("a proposer may use what the start formula reads, be it among the columns of new subtrees or not") {
    const TemporaryFolder folder;
    put(folder / "proposer.py", R"(import json, sys
print(json.dumps({"protocol": "evictlab-proposer/1", "proposer": "one"}), flush=True)
for line in sys.stdin:
    formulas = ["2*window_attn:48 + observed_attn", "window_attn:47"]
    answers = [{"formula": formula, "hypothesis": "why not"} for formula in formulas]
    print(json.dumps({"id": json.loads(line)["id"], "proposals": answers}), flush=True)
)");
    REQUIRE(shell("evictlab evolve --suite smollm2 --patterns 1 --population 8 --seed 2 --state run.json --start "
                  "'window_attn:48' --tuned 0 --proposer 'python3 proposer.py' --generations 1 --quiet",
                  folder.path.string())
                .code == 0);
    const Json run = state::read_state(folder / "run.json");
    const Json& outcomes = run.at("proposal_outcomes");
    REQUIRE(!outcomes.empty());
    CHECK_THAT(outcomes.back().at("reason").get<std::string>(),
               ContainsSubstring("reads the column window_attn:47, which this run does not offer"));
    for (const Json& outcome : outcomes)
        CHECK_THAT(outcome.dump(), !ContainsSubstring("window_attn:48, which this run does not offer"));
    CHECK(run.at("counters").at("candidates") == 10); // the start, eight bred, and the one that could be measured
}

TEST_CASE("a silent proposer is told of, and how long it may be silent stays with the run") {
    const TemporaryFolder folder;
    const std::string command = "evictlab evolve --suite micro --state run.json --start hybrid_start --population 20 "
                                "--tuned 0 --proposer 'sleep 600' --proposer-timeout 0.2 --generations 1";
    const Outcome begun = shell(command, folder.path);
    CHECK(begun.code == 0);
    CHECK_THAT(begun.err, ContainsSubstring("generation 1: no proposals: the proposer was silent for 0.2 s"));
    const Outcome resumed = shell("evictlab evolve --state run.json --resume --generations 2", folder.path);
    CHECK(resumed.code == 0);
    CHECK_THAT(resumed.err, ContainsSubstring("generation 2: no proposals: the proposer was silent for 0.2 s"));
}
