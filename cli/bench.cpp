// evictlab bench: measures scorers on a suite.
// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include <algorithm>

#include "base/input/stop.hpp"
#include "base/output/write_file.hpp"
#include "cli/inputs.hpp"
#include "cli/interrupt.hpp"
#include "cli/output.hpp"
#include "cli/plugin_options.hpp"
#include "cli/progress.hpp"
#include "cli/shape_options.hpp"
#include "cli/shared_options.hpp"
#include "framework/bench/scorecard.hpp"
#include "framework/protocols/all_that_run.hpp"
#include "framework/protocols/protocol.hpp"
#include "report/bench_notes.hpp"
#include "report/bench_table.hpp"

namespace evictlab::cli {
namespace {

constexpr std::string_view usage =
    "Usage: evictlab bench --suite NAME [OPTION...]\n\n"
    "Measures scorers on a suite: the share of attention that lies on evicted tokens, per split and retention.\n"
    "The rows always include the oracle and random@seed. A scorer is written id, id@preset, id:param=value,...,\n"
    "id@preset:param=value, a path to a .so or .formula file, or =EXPRESSION.";

constexpr std::string_view examples =
    "  evictlab bench --suite micro\n"
    "  evictlab bench --suite micro --scorers h2o@seed,streaming_llm:window=32 --retention 0.1,0.5\n"
    "  evictlab bench --suite micro --scorers '=recent_attn - 0.1*key_norm'\n"
    "  evictlab bench --suite micro --seq-len 96 --layers 6 --patterns 4 --seed-offset 7000 --format json\n"
    "  evictlab bench --suite full --scorers all --format json --output full.json\n"
    "  evictlab bench --suite smollm2 --granularity layer --block 16 --sinks 4 --recent 32 --keep 128\n";

po::options_description bench_options() {
    po::options_description options("Options");
    add_suite_options(options);
    options.add_options()(
        "protocol", po::value<std::string>()->value_name("P"),
        "rescore, prefill or decode (default: rescore on synthetic suites, prefill on captured ones)")(
        "interval", po::value<std::string>()->value_name("N"), "decode: tokens between cuts of the cache (1)")(
        "measure", po::value<std::string>()->value_name("M"),
        "what ranks the rows of a captured suite: output_error (default), attention_loss or predicted_kl")(
        "scorers", po::value<std::vector<std::string>>()->composing()->value_name("A,B,..."),
        "what to measure (default: all)");
    options.add_options()("value-bytes", po::value<std::string>()->value_name("B"),
                          "bytes of a number in the KV cache, for the table's bytes (2, as float16 has)")(
        "no-cost", "captured suites: leave out how long scoring takes, so that equal runs give equal results");
    add_run_options(options);
    add_keep_option(options);
    add_shape_options(options);
    options.add_options()("format", po::value<std::string>()->default_value("table")->value_name("F"),
                          "table, json, markdown or csv")("by-trace", "JSON: also the errors of each trace")(
        "output,o", po::value<std::string>()->value_name("FILE"), "write there instead of standard output");
    add_plugin_options(options, IsolatedByDefault::not_built_in);
    return options;
}

bool has_label(const std::vector<Scorer>& scorers, std::string_view label) {
    return std::ranges::any_of(scorers, [label](const Scorer& s) { return s.label() == label; });
}

std::string plugins_in_words(std::size_t count, const char* one, const char* many) {
    return count == 1 ? fmt::format("1 plugin {}", one) : fmt::format("{} plugins {}", count, many);
}

/// What has no row, and why.
void tell(const Bench& bench, std::size_t broken) {
    std::size_t hindered = 0;
    for (const PluginError& failure : bench.failures) {
        complain(failure.what());
        ++(failure.blame == Blame::outside ? hindered : broken);
    }
    std::string said;
    if (broken > 0) said = plugins_in_words(broken, "broke and has no row", "broke and have no row");
    if (hindered > 0)
        said += fmt::format(
            "{}{} for reasons outside of the plugin: run the bench again for them", said.empty() ? "" : "; ",
            hindered == 1 ? "1 row could not be measured" : fmt::format("{} rows could not be measured", hindered));
    complain(fmt::format("{}; the other {} rows stand", said, bench.rows.size()));
}

/// The scorers asked for, without repetition, and random@seed. A plugin that cannot be used costs its own row only and
/// is told at once.
std::vector<Scorer> scorers_from(const po::variables_map& values, PluginHost& host, const Suite& suite,
                                 std::string_view protocol, const Shape& shape, std::size_t& broken) {
    std::vector<std::string> names;
    if (values.contains("scorers"))
        for (const std::string& list : values["scorers"].as<std::vector<std::string>>())
            std::ranges::move(split_scorer_list(list), std::back_inserter(names));
    else
        names.emplace_back("all");
    names.emplace_back(protocol_info(protocol).rules == ScorerRules::seed ? "random@seed" : "random");
    std::vector<Scorer> scorers;
    const auto add = [&scorers](Scorer scorer) {
        if (!has_label(scorers, scorer.label())) scorers.push_back(std::move(scorer));
    };
    for (const std::string& name : names) {
        try {
            if (name == "all") {
                for (Scorer& scorer : all_that_run(host, suite, protocol, shape)) // thresholds are found for shares
                    if (!scorer.unmatched() || !values.contains("keep")) add(std::move(scorer));
            } else if (parse_scorer_name(name).id != oracle_name) { // which is a row in any case
                add(make_scorer(name, host));
            }
        } catch (const PluginError& error) {
            complain(error.what());
            ++broken;
        }
    }
    return scorers;
}

/// Of `all`, as nobody asked for them by name.
std::string left_out_text(const po::variables_map& values, PluginHost& host, const Suite& suite,
                          std::string_view protocol) {
    const auto asks_for_all = [](const std::string& list) {
        return std::ranges::count(split_scorer_list(list), "all") > 0;
    };
    if (values.contains("scorers") &&
        std::ranges::none_of(values["scorers"].as<std::vector<std::string>>(), asks_for_all))
        return "";
    std::string text;
    for (const LackingScorers& lacking : left_out_of_all(host, suite, protocol))
        text += fmt::format("Left out, for {}: {}. {}\n", lacking.why, fmt::join(lacking.labels, ", "), lacking.remedy);
    return text;
}

int run(const std::vector<std::string>& arguments) {
    const auto values = parse_options(arguments, bench_options(), "", usage, examples);
    if (!values) return exit_ok;
    const report::Format format = report::parse_format((*values)["format"].as<std::string>());
    BenchOptions options;
    options.retentions = retentions_from(*values, {});
    options.keep = keep_from(*values);
    options.shape = shape_from(*values);
    options.threads = threads_from(*values);
    options.stop = &interrupted();
    const Suite suite = suite_from(*values);
    options.protocol = values->contains("protocol") ? (*values)["protocol"].as<std::string>() : usual_protocol(suite);
    check_protocol(options.protocol, suite);
    check_shape(options.protocol, options.shape, !options.keep.empty());
    options.interval = number_from<std::size_t>(*values, "interval", "a whole number above 0").value_or(1);
    if (options.interval == 0) throw UsageError("--interval is 0, but must be a whole number above 0");
    options.cost = suite.captured() && !values->contains("no-cost");
    options.value_bytes = number_from<double>(*values, "value-bytes", "a number above 0").value_or(2);
    if (!(options.value_bytes > 0 && options.value_bytes <= 64))
        throw UsageError("--value-bytes must be above 0, and at most 64");
    if (values->contains("measure")) options.measure = (*values)["measure"].as<std::string>();
    PluginHost host = host_from(*values, IsolatedByDefault::not_built_in);
    std::size_t broken = host.problems().size();
    const std::vector<Scorer> scorers = scorers_from(*values, host, suite, options.protocol, options.shape, broken);

    if (values->contains("output")) {
        Inputs inputs;
        inputs.add_suite((*values)["suite"].as<std::string>());
        if (values->contains("calibration")) inputs.add((*values)["calibration"].as<std::string>());
        inputs.add_plugins(host);
        if (values->contains("scorers"))
            for (const std::string& list : (*values)["scorers"].as<std::vector<std::string>>())
                inputs.add_scorers(list);
        inputs.check_output("--output", (*values)["output"].as<std::string>());
    }
    Bench bench;
    {
        const input::HoldStop held;
        ProgressBar bar("bench " + suite.name());
        options.progress = [&bar](double done, double total) { bar.update(done / total); };
        bench = run_bench(suite, scorers, options);
    }
    std::string text = report::render(bench, format, report::BenchJsonOptions{values->contains("by-trace")});
    if (format == report::Format::table)
        text += "\n" + report::bench_notes(bench, host) + left_out_text(*values, host, suite, options.protocol);
    if (values->contains("output"))
        write_file((*values)["output"].as<std::string>(), text);
    else
        print(text);
    if (broken + bench.failures.size() == 0) return exit_ok;
    tell(bench, broken);
    return exit_failure;
}

} // namespace

const Command bench_command{"bench", "measure scorers on a suite", run, bench_options, ""};

} // namespace evictlab::cli
