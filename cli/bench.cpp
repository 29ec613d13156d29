// evictlab bench: measures scorers on a suite.
// SPDX-License-Identifier: MIT
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>

#include "base/input/stop.hpp"
#include "base/option_error.hpp"
#include "base/output/write_file.hpp"
#include "base/text/shown.hpp"
#include "cli/inputs.hpp"
#include "cli/interrupt.hpp"
#include "cli/made.hpp"
#include "cli/output.hpp"
#include "cli/plugin_options.hpp"
#include "cli/progress.hpp"
#include "cli/shape_options.hpp"
#include "cli/shared_options.hpp"
#include "cli/terminal.hpp"
#include "cli/toned.hpp"
#include "framework/bench/scorecard.hpp"
#include "framework/protocols/all_that_run.hpp"
#include "framework/protocols/protocol.hpp"
#include "framework/scorers/full_name.hpp"
#include "report/bench_json.hpp"
#include "report/bench_notes.hpp"
#include "report/bench_table.hpp"
#include "report/shown_split.hpp"

namespace evictlab::cli {
namespace {

constexpr std::string_view usage =
    "Usage: evictlab bench --suite NAME [OPTION...]\n\n"
    "Measures scorers on a suite: what is lost where tokens are evicted, at each retention; lower is better. The\n"
    "rows always include the oracle and random. A scorer is written id, id@preset, id:param=value,...,\n"
    "id@preset:param=value, a path to a .so or .formula file, or =EXPRESSION. Without a preset the published rule is\n"
    "meant (kvpress, else paper) on captured suites, and the seed's on synthetic ones.\n\n"
    "The table is of the valid split. Who tries many ideas and looks at the test split each time has soon chosen what\n"
    "fits its documents by luck; it is for the report at the end: `evictlab report` opens it, and so does --split "
    "test.";

constexpr std::string_view examples =
    "  evictlab bench --suite micro\n"
    "  evictlab bench --suite micro --scorers h2o@seed,streaming_llm:window=32 --retention 0.1,0.5\n"
    "  evictlab bench --suite micro --scorers '=recent_attn - 0.1*key_norm'\n"
    "  evictlab bench --suite micro --seq-len 96 --layers 6 --patterns 4 --seed-offset 7000 --format json\n"
    "  evictlab bench --suite smollm2 --scorers '=window_attn:64*value_norm,snapkv@kvpress' --split test\n"
    "  evictlab bench --suite full --scorers all --format json --output full.json\n"
    "  evictlab bench --suite smollm2 --granularity layer --block 16 --sinks 4 --recent 32 --keep 128\n"
    "  evictlab bench --suite smollm2 --protocol decode --schedule rkv --scorers rkv@paper --bin "
    "16\n";

po::options_description bench_options() {
    po::options_description options("Options");
    add_suite_options(options);
    options.add_options()(
        "protocol", po::value<std::string>()->value_name("P"),
        "rescore, prefill or decode (default: rescore on synthetic suites, prefill on captured ones)")(
        "schedule", po::value<std::string>()->value_name("S"),
        "decode: when the cache is cut: every:N tokens, slack:N, decoding_press:N, once, turns, or tova, h2o, rkv, "
        "triattention, as for evictlab-verdict (every:1)")("interval", po::value<std::string>()->value_name("N"),
                                                           "decode: the same as --schedule every:N")(
        "bin", po::value<std::string>()->value_name("N"),
        "decode: also figures along the continuation, in bins of N tokens")(
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
    options.add_options()("split", po::value<std::string>()->value_name("S"),
                          "which ranks the rows: valid (default), test or train; JSON has all of them")(
        "format", po::value<std::string>()->default_value("table")->value_name("F"), "table, json, markdown or csv")(
        "wide", "all columns, however narrow the terminal is")("by-trace", "JSON: also the errors of each trace")(
        "output,o", po::value<std::string>()->value_name("FILE"), "write there instead of standard output");
    add_plugin_options(options, IsolatedByDefault::not_built_in);
    return options;
}

bool is_same(const Scorer& one, const Scorer& other) {
    if (one.is_formula() || other.is_formula())
        return one.is_formula() && other.is_formula() &&
               formula::print(one.formula()) == formula::print(other.formula());
    if (one.base() != nullptr && other.base() != nullptr && !is_same(*one.base(), *other.base())) return false;
    return one.plugin() == other.plugin();
}

/// Once each. Throws UsageError where another scorer of the name is there, as two files may have it.
void add_once(std::vector<Scorer>& scorers, Scorer scorer) {
    const auto same = std::ranges::find(scorers, scorer.label(), &Scorer::label);
    if (same == scorers.end())
        scorers.push_back(std::move(scorer));
    else if (!is_same(*same, scorer))
        throw UsageError(
            fmt::format("--scorers: two different scorers would both be called {} in the table: rename the "
                        "file of one",
                        text::line(scorer.label(), 60)));
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

/// The scorers asked for by their full names, without repetition, and random. A plugin that cannot be used costs its
/// own row only and is told at once.
std::vector<Scorer> scorers_from(const po::variables_map& values, PluginHost& host, const Suite& suite,
                                 const BenchOptions& how, std::size_t& broken) {
    std::vector<std::string> names;
    if (values.contains("scorers"))
        for (const std::string& list : values["scorers"].as<std::vector<std::string>>())
            std::ranges::move(split_scorer_list(list), std::back_inserter(names));
    else
        names.emplace_back("all");
    const ScorerRules rules = protocol_info(how.protocol).rules;
    names.emplace_back(rules == ScorerRules::seed ? "random@seed" : "random");
    std::vector<Scorer> scorers;
    for (const std::string& name : names) {
        try {
            if (name == "all") {
                for (Scorer& scorer : all_that_run(host, suite, how.protocol, how.shape))
                    if ((!scorer.unmatched() || how.keep.empty()) && // thresholds are found for shares
                        schedule_refusal(scorer, how.schedule).empty())
                        add_once(scorers, std::move(scorer));
            } else if (parse_scorer_name(name).id != oracle_name) { // which is a row in any case
                add_once(scorers, make_scorer(full_name(name, rules, host), host));
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
                          const BenchOptions& how) {
    const auto asks_for_all = [](const std::string& list) {
        return std::ranges::count(split_scorer_list(list), "all") > 0;
    };
    if (values.contains("scorers") &&
        std::ranges::none_of(values["scorers"].as<std::vector<std::string>>(), asks_for_all))
        return "";
    std::string text;
    for (const LackingScorers& lacking : left_out_of_all(host, suite, how.protocol))
        text += fmt::format("Left out, for {}: {}. {}\n", lacking.why, fmt::join(lacking.labels, ", "), lacking.remedy);
    std::vector<std::string> refused;
    for (const Scorer& scorer : all_that_run(host, suite, how.protocol, how.shape))
        if (!schedule_refusal(scorer, how.schedule).empty()) refused.push_back(scorer.label());
    if (!refused.empty())
        text += fmt::format("Left out, for they cannot decide at the cuts of the schedule {}: {}.\n",
                            to_string(how.schedule), fmt::join(refused, ", "));
    return text;
}

report::Rendering rendering_from(const po::variables_map& values) {
    report::Rendering rendering;
    rendering.json.by_trace = values.contains("by-trace");
    if (values.contains("output")) return rendering;
    if (!values.contains("wide")) rendering.width = terminal_width(STDOUT_FILENO);
    rendering.colour = values["format"].as<std::string>() == "table" && shows_colour(STDOUT_FILENO);
    return rendering;
}

CutSchedule schedule_from(const po::variables_map& values) {
    if (values.contains("schedule")) {
        if (values.contains("interval"))
            throw UsageError("give --schedule or --interval, not both: the latter is every:N");
        return parse_schedule(values["schedule"].as<std::string>());
    }
    CutSchedule schedule;
    schedule.interval = number_from<std::size_t>(values, "interval", "a whole number above 0").value_or(1);
    if (schedule.interval == 0) throw UsageError("--interval is 0, but must be a whole number above 0");
    return schedule;
}

int run(const std::vector<std::string>& arguments) {
    const auto values = parse_options(arguments, bench_options(), "", usage, examples);
    if (!values) return exit_ok;
    std::optional<Split> split;
    if (values->contains("split")) split = report::parse_shown_split((*values)["split"].as<std::string>());
    const report::Format format = report::parse_format((*values)["format"].as<std::string>());
    if (split && format == report::Format::json)
        throw UsageError("--split is for tables and CSV: JSON has all splits, and `evictlab report` opens test");
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
    options.schedule = schedule_from(*values);
    options.bin = number_from<std::size_t>(*values, "bin", "a whole number above 0").value_or(0);
    if (values->contains("bin") && options.bin == 0) throw UsageError("--bin is 0, but must be a whole number above 0");
    if (!protocol_info(options.protocol).cuts_again)
        for (const char* option : {"schedule", "bin"})
            if (values->contains(option)) throw OptionError(option, "is for --protocol decode");
    options.cost = suite.captured() && !values->contains("no-cost");
    options.value_bytes = number_from<double>(*values, "value-bytes", "a number above 0").value_or(2);
    if (!(options.value_bytes > 0 && options.value_bytes <= 64))
        throw UsageError("--value-bytes must be above 0, and at most 64");
    if (values->contains("measure")) options.measure = (*values)["measure"].as<std::string>();
    PluginHost host = host_from(*values, IsolatedByDefault::not_built_in);
    std::size_t broken = host.problems().size();
    const std::vector<Scorer> scorers = scorers_from(*values, host, suite, options, broken);

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
    if (format != report::Format::json)
        bench = report::shown_by(std::move(bench), split.value_or(report::usual_split(bench.traces)));
    const report::Rendering rendering = rendering_from(*values);
    std::string text = format == report::Format::json ? report::dump(with_made(report::to_json(bench, rendering.json)))
                                                      : report::render(bench, format, rendering);
    if (format == report::Format::table)
        text += "\n" + report::bench_notes(bench, host) + left_out_text(*values, host, suite, options);
    if (rendering.width && format == report::Format::table) text = wrapped(text, *rendering.width);
    if (values->contains("output"))
        write_file((*values)["output"].as<std::string>(), text);
    else if (rendering.colour)
        print_toned(text);
    else
        print(text);
    if (broken + bench.failures.size() == 0) return exit_ok;
    tell(bench, broken);
    return exit_failure;
}

} // namespace

const Command bench_command{"bench", "measure scorers on a suite", run, bench_options, ""};

} // namespace evictlab::cli
