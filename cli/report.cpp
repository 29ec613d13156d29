// evictlab report: bench results and evolution runs as one leaderboard.
// SPDX-License-Identifier: MIT
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>

#include "base/input/stop.hpp"
#include "base/output/write_file.hpp"
#include "cli/inputs.hpp"
#include "cli/interrupt.hpp"
#include "cli/made.hpp"
#include "cli/output.hpp"
#include "cli/plugin_options.hpp"
#include "cli/progress.hpp"
#include "cli/run_story.hpp"
#include "cli/shared_options.hpp"
#include "cli/terminal.hpp"
#include "cli/toned.hpp"
#include "framework/capture/suites.hpp"
#include "framework/protocols/all_that_run.hpp"
#include "framework/protocols/protocol.hpp"
#include "report/bench_json.hpp"
#include "report/leaderboard_text.hpp"
#include "report/page.hpp"
#include "report/plot.hpp"
#include "report/tasks.hpp"
#include "report/verdict_text.hpp"

namespace evictlab::cli {
namespace {

using Strings = std::vector<std::string>;

constexpr std::string_view usage =
    "Usage: evictlab report [--state FILE]... [--bench FILE]... [--verdict FILE]... [--engine FILE]...\n"
    "                       [--tasks FILE]... [--output FILE]\n\n"
    "Merges bench results (evictlab bench --format json) and evolution runs into one leaderboard a suite. The "
    "champion\n"
    "of a run, and all built-in scorers on the run's suite, are measured here: this is where the test split is "
    "opened.\n"
    "A verdict is what the model itself says (JSON of evictlab-verdict) on the documents of a captured suite; it may\n"
    "stand alone, and so may runs inside llama.cpp (JSON of evictlab-llama), one a document, and tasks, which are "
    "what\n"
    "the model answers after eviction (JSON of evictlab-tasks run).\n"
    "FILE ending in .md, .json or .html decides the format; without --output, Markdown goes to standard output. "
    "Beside\n"
    "Markdown lies one plot a table, SUITE-PROTOCOL.svg, which the Markdown shows.\n"
    "Runs alone as .html are a page of their story: how errors fell, who descends from whom, what paid. It measures\n"
    "nothing and opens no test split.";

constexpr std::string_view examples =
    "  evictlab report --state evolution.json --output leaderboard.md\n"
    "  evictlab report --bench micro.json --bench full.json --output leaderboard.json\n"
    "  evictlab report --state a.json --state b.json --bench micro.json --brief\n"
    "  evictlab report --verdict verdict.json\n"
    "  evictlab report --bench smollm2.json --output leaderboard.html\n"
    "  evictlab report --state evolution.json --output run.html --follow\n"
    "  evictlab report --engine emma.json --engine walden.json --verdict verdict.json\n"
    "  evictlab report --tasks tasks.json --output answers.md\n"
    "  evictlab report --bench smollm2.json --verdict verdict.json --output leaderboard.md --plots plots\n";

/// A run's champion among all scorers, on the run's suite and at its retentions.
report::LeaderboardInput measured_run(const std::string& file, PluginHost& host) {
    const evolution::RunSummary summary = evolution::read_run(file);
    const Suite suite = make_suite_from_parameters(summary.suite_parameters_json);
    if (suite.hash() != summary.suite_hash)
        throw Error(
            fmt::format("the run in {} is of suite {} with hash {}, but this evictlab makes that suite with hash {}; "
                        "report it with the evictlab that made it",
                        file, summary.suite, summary.suite_hash, suite.hash()));
    std::vector<Scorer> scorers = all_that_run(host, suite, usual_protocol(suite), summary.shape);
    if (!summary.keep.empty()) std::erase_if(scorers, [](const Scorer& scorer) { return scorer.unmatched(); });
    const std::string label = report::champion_label(summary);
    if (!summary.champion.genome.parameters())
        scorers.push_back(Scorer::from_formula(label, summary.champion.genome.formula()));
    else if (std::ranges::find(scorers, label, &Scorer::label) == scorers.end())
        scorers.push_back(make_scorer(label, host));
    const input::HoldStop held;
    ProgressBar bar("bench " + suite.name());
    BenchOptions options;
    options.retentions = summary.retentions;
    options.shape = summary.shape;
    options.keep = summary.keep;
    options.stop = &interrupted();
    options.progress = [&bar](double done, double total) { bar.update(done / total); };
    return {file, run_bench(suite, scorers, options), summary};
}

po::options_description report_options() {
    po::options_description options("Options");
    options.add_options()("state", po::value<Strings>()->composing()->value_name("FILE"), "an evolution run")(
        "bench", po::value<Strings>()->composing()->value_name("FILE"), "a bench result in JSON")(
        "verdict", po::value<Strings>()->composing()->value_name("FILE"), "the model's own verdict in JSON")(
        "engine", po::value<Strings>()->composing()->value_name("FILE"), "a run of evictlab-llama in JSON")(
        "tasks", po::value<Strings>()->composing()->value_name("FILE"),
        "what the model answers, in JSON")("output,o", po::value<std::string>()->value_name("FILE"),
                                           "leaderboard.md, leaderboard.json or leaderboard.html")(
        "plots", po::value<std::string>()->value_name("DIR"),
        "where plots go, or none (default: beside --output where that is Markdown, else none)")(
        "brief", "Markdown: the test split's figures and the others' averages only")(
        "headline", "Markdown: of each verdict the few rows that tell how it went")(
        "follow", "of runs alone as .html: write the page again with each generation, until none is running");
    options.add_options()("columns", po::value<std::string>()->value_name("N"),
                          "of verdicts alone: as text for a terminal of so many columns");
    add_plugin_options(options, IsolatedByDefault::not_built_in);
    return options;
}

/// Of a terminal, where text for one is asked for.
std::optional<std::size_t> columns_from(const po::variables_map& values) {
    const auto columns = number_from<std::size_t>(values, "columns", "a number of columns from 40 on");
    if (!columns) return std::nullopt;
    for (const char* other : {"state", "bench", "engine", "tasks", "output", "brief", "headline", "plots"})
        if (values.contains(other))
            throw UsageError(fmt::format("--columns is for verdicts alone, without --{}", other));
    if (*columns < 40) throw UsageError("--columns must be a number from 40 on");
    return columns;
}

void print_verdicts(std::span<const report::LeaderboardTable> tables, std::size_t columns) {
    const bool colour = shows_colour(STDOUT_FILENO);
    for (const report::LeaderboardTable& table : tables)
        for (const report::VerdictTable& verdict : table.verdicts) {
            const std::string text = wrapped(report::verdict_to_text(verdict, columns, colour), columns);
            colour ? print_toned(text) : print(text);
        }
}

report::Detail detail_from(const po::variables_map& values) {
    const bool brief = values.contains("brief"), headline = values.contains("headline");
    if (brief && headline) throw UsageError("--brief and --headline exclude each other");
    if (headline) return report::Detail::headline;
    return brief ? report::Detail::brief : report::Detail::whole;
}

bool is_page(const po::variables_map& values) {
    return values.contains("output") &&
           std::filesystem::path(values["output"].as<std::string>()).extension() == ".html";
}

/// Whether the story of runs is asked for: a page, and nothing to compare them with.
bool is_story(const po::variables_map& values) {
    const bool story =
        is_page(values) && values.contains("state") && !values.contains("bench") && !values.contains("verdict");
    if (values.contains("follow") && !story)
        throw UsageError(
            "--follow keeps the page of runs up to date: it goes with --state FILE and --output FILE.html, "
            "without --bench and --verdict");
    for (const char* option : {"brief", "headline", "plots"})
        if (is_page(values) && values.contains(option))
            throw UsageError(fmt::format("--{} is for Markdown; a page has all figures and charts of its own", option));
    return story;
}

/// Where plots go; nothing for none.
std::optional<std::filesystem::path> plot_folder(const po::variables_map& values) {
    if (values.contains("plots")) {
        const auto folder = values["plots"].as<std::string>();
        if (folder.empty()) throw UsageError("--plots needs a folder, or none");
        return folder == "none" ? std::nullopt : std::optional<std::filesystem::path>(folder);
    }
    if (!values.contains("output")) return std::nullopt;
    const std::filesystem::path output = values["output"].as<std::string>();
    return output.extension() == ".md" ? std::optional(output.parent_path()) : std::nullopt;
}

/// Draws what is wanted and says how Markdown that lies at `output` links it, by table; nothing for none.
Strings draw(std::span<const report::LeaderboardTable> tables, const po::variables_map& values, const Inputs& inputs) {
    const auto folder = plot_folder(values);
    const bool measured = values.contains("bench") || values.contains("state");
    if (!measured && values.contains("plots") && folder)
        throw UsageError(
            "verdicts, runs inside an engine and tasks alone have no plots: give --bench FILE too, or --plots none");
    if (!folder || !measured) return {};
    const auto files =
        report::write_plots(tables, *folder, [&inputs](const auto& file) { inputs.check_output("the plot", file); });
    if (files.empty()) complain("no plots: gnuplot is not installed (Debian: gnuplot-nox)");
    const auto base = values.contains("output")
                          ? std::filesystem::absolute(values["output"].as<std::string>()).parent_path()
                          : std::filesystem::current_path();
    Strings links;
    for (const auto& file : files)
        links.push_back(file.empty() ? std::string() // no row of that table has figures
                                     : std::filesystem::absolute(file)
                                           .lexically_normal()
                                           .lexically_relative(base.lexically_normal())
                                           .string());
    return links;
}

void write(std::span<const report::LeaderboardTable> tables, const std::filesystem::path& file, report::Detail detail,
           const Strings& plots, std::span<const report::EngineTable> engines, std::span<const report::Tasks> tasks,
           const PluginHost& plugins) {
    if (file.extension() == ".html")
        report::write_page(tables, plugins, file);
    else if (file.extension() == ".json")
        write_file(file, report::dump(with_made(report::to_json(tables, engines, tasks))));
    else
        report::write_leaderboard(tables, file, detail, plots, engines, tasks);
}

int run(const Strings& arguments) {
    const auto values = parse_options(arguments, report_options(), "", usage, examples);
    if (!values) return exit_ok;
    const auto files = [&](const char* option) {
        return values->contains(option) ? (*values)[option].as<Strings>() : Strings{};
    };
    const Strings kinds{"state", "bench", "verdict", "engine", "tasks"};
    if (std::ranges::all_of(kinds, [&files](const auto& kind) { return files(kind.c_str()).empty(); }))
        throw UsageError(
            "nothing to report: give --bench FILE, --state FILE, --verdict FILE, --engine FILE or --tasks FILE");
    const auto columns = columns_from(*values);
    const auto detail = detail_from(*values);
    if (detail == report::Detail::headline && files("verdict").empty() && files("tasks").empty())
        throw UsageError("--headline shows what a model itself says: give --verdict FILE or --tasks FILE");
    if (!files("engine").empty() && (detail == report::Detail::headline || is_page(*values)))
        throw UsageError("runs inside an engine are shown in Markdown and JSON alone: leave --engine out of a page and "
                         "of --headline");
    if (!files("tasks").empty() && is_page(*values))
        throw UsageError("--tasks FILE stands in no page yet: give --output a file that ends in .md or .json");
    Inputs read;
    for (const std::string& file : files("state")) read.add_run(file);
    for (const char* option : {"bench", "verdict", "engine", "tasks"})
        for (const std::string& file : files(option)) read.add(file);
    if (values->contains("output")) read.check_output("--output", (*values)["output"].as<std::string>());
    if (is_story(*values)) {
        const Strings names = files("state");
        const std::vector<std::filesystem::path> states(names.begin(), names.end());
        write_run_story(states, (*values)["output"].as<std::string>(), values->contains("follow"));
        return exit_ok;
    }
    std::vector<report::LeaderboardInput> inputs;
    bool failed = false;
    for (const std::string& file : files("bench")) inputs.push_back({file, report::read_bench(file), {}});
    PluginHost host = host_from(*values, IsolatedByDefault::not_built_in); // which say what is published, too
    read.add_plugins(host);
    if (!files("state").empty()) {
        failed = !host.problems().empty();
        for (const std::string& file : files("state")) {
            inputs.push_back(measured_run(file, host));
            for (const PluginError& failure : inputs.back().bench.failures) {
                complain(failure.what());
                failed = true;
            }
        }
    }
    std::vector<report::VerdictInput> verdicts;
    for (const std::string& file : files("verdict")) verdicts.push_back({file, report::read_verdict(file)});
    std::vector<report::EngineRun> engine_runs;
    for (const std::string& file : files("engine")) engine_runs.push_back(report::read_engine_run(file));
    const std::vector<report::EngineTable> engines = report::engine_tables(engine_runs);
    for (const auto& input : inputs) read.add_suite(input.bench.suite);
    if (values->contains("output")) read.check_output("--output", (*values)["output"].as<std::string>());
    std::vector<report::Tasks> tasks;
    for (const std::string& file : files("tasks")) tasks.push_back(report::read_tasks(file));
    const auto tables = report::make_leaderboard(inputs, verdicts, host);
    if (columns) {
        print_verdicts(tables, *columns);
        return exit_ok;
    }
    const Strings plots = draw(tables, *values, read);
    if (values->contains("output"))
        write(tables, (*values)["output"].as<std::string>(), detail, plots, engines, tasks, host);
    else
        print(report::to_markdown(tables, detail, plots, engines, tasks));
    return failed ? exit_failure : exit_ok;
}

} // namespace

const Command report_command{"report", "write a leaderboard from bench results and runs", run, report_options, ""};

} // namespace evictlab::cli
