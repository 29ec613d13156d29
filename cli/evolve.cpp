// evictlab evolve: searches for better formulas, and goes on where it stopped.
// SPDX-License-Identifier: MIT
#include <fmt/format.h>
#include <tbb/global_control.h>

#include <iostream>

#include "cli/interrupt.hpp"
#include "cli/progress.hpp"
#include "cli/search_options.hpp"
#include "cli/shared_options.hpp"
#include "cli/version.hpp"
#include "evolution/run.hpp"
#include "evolution/seed_journey.hpp"
#include "framework/evaluation/captured_fitness.hpp"
#include "framework/evaluation/protocol.hpp"
#include "framework/evaluation/scorecard.hpp"
#include "framework/evaluation/twins.hpp"
#include "report/bench_table.hpp"

namespace evictlab::cli {
namespace {

constexpr std::string_view usage =
    "Usage: evictlab evolve --suite NAME --state FILE [OPTION...]\n"
    "       evictlab evolve --state FILE --resume [OPTION...]\n"
    "       evictlab evolve --replay seed-journey [--suite NAME]\n\n"
    "Evolves scoring formulas: the train split selects, the valid split promotes, and the test split is opened for "
    "the\n"
    "report only. Every generation is saved to FILE; a run that was stopped, killed or cut from power goes on with\n"
    "--resume to the same bits as one that never was. Ctrl-C stops within a second; the last generation is saved.";

constexpr std::string_view examples =
    "  evictlab evolve --suite micro --state evolution.json --start hybrid_start --seed 1 --max-seconds 60\n"
    "  evictlab evolve --state evolution.json --resume --max-seconds 600\n"
    "  evictlab evolve --suite micro --state run.json --start '0.7*recent_attn + 0.3*cumulative_attn' --target 0.368\n"
    "  evictlab evolve --suite full --patterns 2 --state full.json --generations 50\n"
    "  evictlab evolve --suite smollm2 --state real.json --start 'window_attn:64' --max-seconds 3600\n"
    "  evictlab evolve --replay seed-journey\n";

po::options_description evolve_options() {
    const auto text = [](const char* name) { return po::value<std::string>()->value_name(name); };
    po::options_description options("Options");
    add_suite_options(options);
    options.add_options()("state", text("FILE"), "where the run is kept, such as evolution.json");
    options.add_options()("resume", "go on with the run in FILE");
    options.add_options()("start", text("WHAT"), "a scorer's name, a .formula file or a formula (hybrid_start)");
    options.add_options()("seed", text("N"), "of the run's random numbers (1)");
    options.add_options()("population", text("N"),
                          "formulas kept, and made a generation (400; 100 on captured suites)");
    add_search_options(options);
    options.add_options()("generations", text("N"), "stop after so many, in all");
    options.add_options()("evaluations", text("N"), "stop once so many formulas were measured, in all");
    options.add_options()("max-seconds", text("S"), "stop after so long, this time");
    options.add_options()("target", text("ERR"), "stop once the champion's valid error is at most this");
    options.add_options()("patience", text("N"), "stop after so many generations without a new champion");
    options.add_options()("replay", text("NAME"), "replay a known run instead: seed-journey");
    options.add_options()("quiet,q", "no line a champion");
    add_run_options(options);
    add_plugin_options(options);
    return options;
}

evolution::RunLimits limits_from(const po::variables_map& values) {
    constexpr const char* whole = "a whole number";
    evolution::RunLimits limits;
    limits.generations = number_from<std::uint32_t>(values, "generations", whole);
    limits.evaluations = number_from<std::uint64_t>(values, "evaluations", whole);
    limits.seconds = number_from<double>(values, "max-seconds", "a number of seconds");
    limits.target = number_from<double>(values, "target", "an error such as 0.368");
    limits.patience = number_from<std::uint32_t>(values, "patience", whole);
    return limits;
}

/// The formula to start from; a name is that of a built-in scorer's twin, whose plugin the run then relies on.
formula::Formula start_formula(const std::string& start, PluginHost& host,
                               std::map<std::string, std::string>& plugins) {
    if (const auto twin = formula_twin(start)) {
        const std::string id = start.substr(0, start.find('@'));
        if (const auto plugin = host.find(id)) plugins[id] = plugin->file_sha256();
        return formula::parse(*twin);
    }
    if (start.ends_with(".formula")) return make_scorer(start, host).formula();
    try {
        return formula::parse(start.starts_with('=') ? start.substr(1) : start);
    } catch (const formula::ParseError& wrong) {
        throw UsageError(fmt::format("--start '{}' is neither a built-in scorer with a formula ({}) nor a formula: {}",
                                     start, fmt::join(scorers_with_twins(), ", "), wrong.what()));
    }
}

/// For the message of a run that has stopped: the champion's error on all splits. Opened after the search, never in it.
void print_outcome(const Suite& suite, const evolution::RunResult& result, std::span<const double> retentions,
                   const std::string& state_file) {
    const evolution::Candidate& champion = result.state.champion();
    BenchOptions options;
    options.retentions.assign(retentions.begin(), retentions.end());
    options.stop = &interrupted();
    const Bench bench = run_bench(suite, std::vector{Scorer::from_formula("champion", champion.formula)}, options);
    fmt::print("champion    {}\n", formula::print(champion.formula));
    for (const Split split : all_splits)
        fmt::print("{:<10}  {}\n", fmt::format("{} error", to_string(split)),
                   bench.rows[0].splits[static_cast<std::size_t>(split)].average);
    const evolution::Counters& counters = result.state.counters;
    fmt::print("made        {} formulas measured in {} generations, {} duplicates left out\n", counters.evaluations,
               result.state.generation, counters.duplicates);
    if (counters.semantic_duplicates > 0)
        fmt::print("            {} semantic duplicates left out\n", counters.semantic_duplicates);
    if (counters.raced_out > 0) fmt::print("            {} candidates left the race early\n", counters.raced_out);
    fmt::print("stopped     {}\n", result.state.stop_reason);
    fmt::print("next        evictlab report --state {} --output leaderboard.md\n", shell_word(state_file));
}

int replay(const po::variables_map& values) {
    const std::string& name = values["replay"].as<std::string>();
    if (name != "seed-journey") throw UsageError(fmt::format("unknown replay '{}': there is seed-journey", name));
    const Suite suite = values.contains("suite") ? suite_from(values) : make_suite("micro");
    const FitnessEvaluator fitness(suite.search_traces(), retentions_from(values, usual_retentions("rescore")));
    std::cout << evolution::journey_table(evolution::replay_seed_journey(fitness));
    return exit_ok;
}

/// What decides a run, as one would type it; where it is kept and how long it goes on are added by who reports it.
std::string command_text(const po::variables_map& values, const evolution::RunConfig& config) {
    std::string text = "evictlab evolve" + suite_options_text(values);
    text += fmt::format(" --start {} --seed {}", shell_word(config.start), config.seed);
    if (values.contains("population")) text += fmt::format(" --population {}", config.population);
    text += search_options_text(values);
    if (values.contains("retention"))
        text += fmt::format(" --retention {}", fmt::join(retentions_from(values, usual_retentions("rescore")), ","));
    return text;
}

/// By the protocol that is usual on the suite: rescore, or prefill with the output error (attention loss where the
/// suite has no output projections).
std::unique_ptr<Fitness> fitness_for(const Suite& suite, const evolution::RunConfig& config,
                                     const std::vector<double>& retentions) {
    const std::string_view protocol = usual_protocol(suite);
    const Scorer start = Scorer::from_formula("the start formula", config.start_formula);
    if (const std::string why = refusal(start, suite, protocol); !why.empty())
        throw UsageError(fmt::format("--start '{}' {}", config.start, why));
    if (!suite.captured())
        return std::make_unique<FitnessEvaluator>(suite.search_traces(), retentions, config.start_formula.columns());
    std::vector<ColumnId> columns = columns::of_the_seed(); // the opening strategies read them
    for (const std::string& name : config.columns) columns.push_back(columns::intern(name));
    for (const ColumnId id : config.start_formula.columns()) columns.push_back(id);
    const bool output = make_protocol(protocol, suite, {}, retentions)->measures().front() == "output_error";
    return std::make_unique<CapturedFitness>(suite, retentions, columns,
                                             output ? CapturedMeasure::output_error : CapturedMeasure::attention_loss);
}

evolution::RunSetup setup_from(const po::variables_map& values, const Suite& suite, PluginHost& host) {
    evolution::RunSetup setup;
    if (values.contains("start")) setup.config.start = values["start"].as<std::string>();
    setup.config.start_formula = start_formula(setup.config.start, host, setup.identity.plugins);
    setup.config.seed = number_from<std::uint64_t>(values, "seed", "a whole number").value_or(setup.config.seed);
    setup.config.population =
        number_from<std::uint32_t>(values, "population", "a whole number").value_or(setup.config.population);
    if (suite.captured()) { // an output error takes milliseconds, so a generation is smaller
        setup.config.columns = evolution::captured_columns;
        setup.config.tuned = 2;
        setup.config.tuning_evaluations = 80;
        if (!values.contains("population")) setup.config.population = 100;
    }
    read_search_options(values, setup.config);
    setup.limits = limits_from(values);
    setup.identity.suite = suite.name();
    setup.identity.suite_hash = suite.hash();
    setup.identity.suite_parameters_json = suite.parameters_json();
    setup.identity.build = version;
    setup.identity.command = command_text(values, setup.config);
    return setup;
}

/// The saved run's setup, with what was typed this time in its place: what may not differ is refused by the run.
evolution::RunSetup resumed_setup(const po::variables_map& values, const evolution::RunSetup& saved, const Suite& suite,
                                  PluginHost& host) {
    evolution::RunSetup setup = setup_from(values, suite, host);
    const auto keep = [&](const char* option, auto& now, const auto& before) {
        if (!values.contains(option)) now = before;
    };
    setup.identity.command = saved.identity.command;
    if (!values.contains("start")) {
        setup.config.start = saved.config.start;
        setup.identity.plugins.clear();
        setup.config.start_formula = start_formula(setup.config.start, host, setup.identity.plugins);
    }
    keep("seed", setup.config.seed, saved.config.seed);
    keep("population", setup.config.population, saved.config.population);
    keep_search_options(values, setup.config, saved.config);
    keep("generations", setup.limits.generations, saved.limits.generations);
    keep("evaluations", setup.limits.evaluations, saved.limits.evaluations);
    keep("max-seconds", setup.limits.seconds, saved.limits.seconds);
    keep("target", setup.limits.target, saved.limits.target);
    keep("patience", setup.limits.patience, saved.limits.patience);
    return setup;
}

/// ", 12 % WHAT"; nothing for a share of 0.
std::string share_text(double share, std::string_view what) {
    return share > 0 ? fmt::format(", {:.0f} % {}", 100 * share, what) : "";
}

evolution::RunResult run_search(const evolution::RunSetup& setup, const Fitness& fitness, state::RunStore& store,
                                bool quiet) {
    ProgressBar bar("evolve " + setup.identity.suite);
    evolution::RunHooks hooks;
    hooks.stop = &interrupted();
    hooks.on_generation = [&bar, quiet](const evolution::RunProgress& p) {
        if (p.new_champion && !quiet)
            bar.say(fmt::format("generation {}: champion, train {:.6f}, valid {:.6f}: {}", p.generation,
                                p.champion_train, p.champion_valid, p.champion));
        bar.update(p.fraction,
                   fmt::format("generation {}, train {:.5f}, valid {:.5f}, {:.0f} formulas/s, {:.0f} % "
                               "duplicates{}{}",
                               p.generation, p.champion_train, p.champion_valid, p.evaluations_a_second,
                               100 * p.duplicates_share, share_text(p.semantic_share, "semantic duplicates"),
                               share_text(p.raced_out_share, "out of the race")));
    };
    return evolution::run_evolution(setup, fitness, store, hooks);
}

int run(const std::vector<std::string>& arguments) {
    const auto values = parse_options(arguments, evolve_options(), "", usage, examples);
    if (!values) return exit_ok;
    if (values->contains("replay")) return replay(*values);
    if (!values->contains("state")) throw UsageError("no state file given: add --state evolution.json");
    const std::string file = (*values)["state"].as<std::string>();
    const bool resume = values->contains("resume");
    std::optional<tbb::global_control> threads;
    if (const int n = threads_from(*values); n > 0)
        threads.emplace(tbb::global_control::max_allowed_parallelism, static_cast<std::size_t>(n));

    if (!resume) suite_from(*values); // wrong use is told before a file is made
    PluginHost host = host_from(*values);
    state::RunStore store = resume ? state::RunStore::resume(file) : state::RunStore::create(file);
    const bool has_content = !store.content().is_null();
    if (!has_content && !values->contains("suite"))
        throw UsageError(
            fmt::format("the run in {} was stopped before its first generation: resume it with all the options "
                        "that it was started with",
                        file));
    std::optional<evolution::RunSetup> saved;
    const JsonField content(store.content(), file);
    if (has_content) saved = evolution::saved_setup(content);
    const Suite suite = saved && !values->contains("suite")
                            ? make_suite_from_parameters(saved->identity.suite_parameters_json)
                            : suite_from(*values);
    const evolution::RunSetup setup =
        saved ? resumed_setup(*values, *saved, suite, host) : setup_from(*values, suite, host);
    const std::vector<double> retentions = saved && !values->contains("retention")
                                               ? content.member("retentions").numbers()
                                               : retentions_from(*values, usual_retentions(usual_protocol(suite)));
    const std::unique_ptr<Fitness> fitness = fitness_for(suite, setup.config, retentions);
    const evolution::RunResult result = run_search(setup, *fitness, store, values->contains("quiet"));
    if (result.stopped) {
        fmt::print(stderr,
                   "evictlab: stopped after generation {}, which is saved; go on with: evictlab evolve --state {} "
                   "--resume\n",
                   result.state.generation, shell_word(file));
        return exit_interrupted;
    }
    print_outcome(suite, result, retentions, file);
    return host.problems().empty() ? exit_ok : exit_failure;
}

} // namespace

const Command evolve_command{"evolve", "evolve better scoring formulas, or resume a run", run};

} // namespace evictlab::cli
