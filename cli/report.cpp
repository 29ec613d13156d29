// evictlab report: bench results and evolution runs as one leaderboard.
// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include <iostream>

#include "cli/interrupt.hpp"
#include "cli/progress.hpp"
#include "cli/shared_options.hpp"
#include "report/bench_json.hpp"
#include "report/leaderboard_text.hpp"

namespace evictlab::cli {
namespace {

using Strings = std::vector<std::string>;

constexpr std::string_view usage =
    "Usage: evictlab report [--state FILE]... [--bench FILE]... [--output FILE]\n\n"
    "Merges bench results (evictlab bench --format json) and evolution runs into one leaderboard a suite. The "
    "champion\n"
    "of a run, and all built-in scorers on the run's suite, are measured here: this is where the test split is "
    "opened.\n"
    "FILE ending in .md or .json decides the format; without --output, Markdown goes to standard output.";

constexpr std::string_view examples =
    "  evictlab report --state evolution.json --output leaderboard.md\n"
    "  evictlab report --bench micro.json --bench full.json --output leaderboard.json\n"
    "  evictlab report --state a.json --state b.json --bench micro.json --brief\n";

/// A run's champion among all scorers, on the run's suite and at its retentions.
report::LeaderboardInput measured_run(const std::string& file, const PluginHost& host) {
    const evolution::RunSummary summary = evolution::read_run(file);
    const Suite suite = make_suite_from_parameters(summary.suite_parameters_json);
    if (suite.hash() != summary.suite_hash)
        throw Error(
            fmt::format("the run in {} is of suite {} with hash {}, but this evictlab makes that suite with hash {}; "
                        "report it with the evictlab that made it",
                        file, summary.suite, summary.suite_hash, suite.hash()));
    std::vector<Scorer> scorers = all_scorers(host);
    scorers.push_back(Scorer::from_formula(report::champion_label(summary), summary.champion.formula));
    ProgressBar bar("bench " + suite.name());
    BenchOptions options;
    options.retentions = summary.retentions;
    options.stop = &interrupted();
    options.progress = [&bar](double done, double total) { bar.update(done / total); };
    return {file, run_bench(suite, scorers, options), summary};
}

int run(const Strings& arguments) {
    po::options_description options("Options");
    options.add_options()("state", po::value<Strings>()->composing()->value_name("FILE"), "an evolution run")(
        "bench", po::value<Strings>()->composing()->value_name("FILE"), "a bench result in JSON")(
        "output,o", po::value<std::string>()->value_name("FILE"), "leaderboard.md or leaderboard.json")(
        "brief", "Markdown: the test split's figures and the others' averages only");
    add_plugin_options(options);
    const auto values = parse_options(arguments, options, "", usage, examples);
    if (!values) return exit_ok;
    const auto files = [&](const char* option) {
        return values->contains(option) ? (*values)[option].as<Strings>() : Strings{};
    };
    if (files("state").empty() && files("bench").empty())
        throw UsageError("nothing to report: give --state FILE or --bench FILE");
    std::vector<report::LeaderboardInput> inputs;
    bool failed = false;
    for (const std::string& file : files("bench")) inputs.push_back({file, report::read_bench(file), {}});
    if (!files("state").empty()) {
        PluginHost host = host_from(*values);
        failed = !host.problems().empty();
        for (const std::string& file : files("state")) {
            inputs.push_back(measured_run(file, host));
            for (const PluginError& failure : inputs.back().bench.failures) {
                std::cerr << "evictlab: " << failure.what() << '\n';
                failed = true;
            }
        }
    }
    const auto tables = report::make_leaderboard(inputs);
    const auto detail = values->contains("brief") ? report::Detail::brief : report::Detail::whole;
    if (values->contains("output"))
        report::write_leaderboard(tables, (*values)["output"].as<std::string>(), detail);
    else
        std::cout << report::to_markdown(tables, detail);
    return failed ? exit_failure : exit_ok;
}

} // namespace

const Command report_command{"report", "write a leaderboard from bench results and runs", run};

} // namespace evictlab::cli
