// evictlab evolve: searches for better formulas, and goes on where it stopped.
// SPDX-License-Identifier: MIT
#include <fmt/format.h>
#include <tbb/global_control.h>
#include <unistd.h>

#include "base/input/stop.hpp"
#include "base/text/quoting.hpp"
#include "cli/column_options.hpp"
#include "cli/external.hpp"
#include "cli/fitness_workers.hpp"
#include "cli/interrupt.hpp"
#include "cli/output.hpp"
#include "cli/plugin_options.hpp"
#include "cli/saved_commands.hpp"
#include "cli/search_figures.hpp"
#include "cli/search_options.hpp"
#include "cli/search_progress.hpp"
#include "cli/shape_options.hpp"
#include "cli/shared_options.hpp"
#include "cli/terminal.hpp"
#include "cli/tuned_scorer.hpp"
#include "cli/version.hpp"
#include "evolution/run.hpp"
#include "evolution/saved_run.hpp"
#include "evolution/seed_journey.hpp"
#include "evolution/shared_search.hpp"
#include "evolution/start.hpp"
#include "evolution/yardsticks_file.hpp"
#include "framework/capture/suites.hpp"
#include "framework/fitness/rescore_fitness.hpp"
#include "framework/protocols/protocol.hpp"
#include "report/shape.hpp"

namespace evictlab::cli {
namespace {

constexpr std::string_view usage =
    "Usage: evictlab evolve --suite NAME --state FILE [OPTION...]\n"
    "       evictlab evolve --tune SCORER --suite NAME --state FILE [OPTION...]\n"
    "       evictlab evolve --state FILE --resume [OPTION...]\n"
    "       evictlab evolve --replay seed-journey [--suite NAME]\n\n"
    "Evolves scoring formulas, or the parameters of a plugin: the train split selects, the valid split promotes, and\n"
    "the test split is opened for the report only. Every generation is saved to FILE; a run that was stopped, killed\n"
    "or cut from power goes on with --resume to the same bits as one that never was. Ctrl-C stops within a second;\n"
    "the last generation is saved.";

constexpr std::string_view examples =
    "  evictlab evolve --suite micro --state evolution.json --start hybrid_start --seed 1 --max-seconds 60\n"
    "  evictlab evolve --state evolution.json --resume --max-seconds 600\n"
    "  evictlab evolve --suite micro --state run.json --start '0.7*recent_attn + 0.3*cumulative_attn' --target 0.368\n"
    "  evictlab evolve --suite full --patterns 2 --state full.json --generations 50\n"
    "  evictlab evolve --suite smollm2 --state real.json --start 'window_attn:64' --max-seconds 3600\n"
    "  evictlab evolve --suite smollm2 --suite micro --state both.json --start 'recent_attn + 0.3*cumulative_attn'\n"
    "  evictlab evolve --suite smollm2-full --measure predicted_kl --state real.json \\\n"
    "      --verdict 'evictlab-verdict SmolLM2.gguf smollm2-full --serve' --max-seconds 1800\n"
    "  evictlab evolve --suite smollm2 --state blocks.json --granularity layer --block 16 --keep 128 --max-seconds 60\n"
    "  evictlab evolve --suite micro --state portable.json --exportable kvpress,engine --max-seconds 60\n"
    "  evictlab evolve --tune snapkv@kvpress --suite smollm2 --state snapkv.json --generations 20\n"
    "  evictlab evolve --suite smollm2 --state run.json --fitness-workers 2\n"
    "  evictlab evolve --replay seed-journey\n";

po::options_description evolve_options() {
    const auto text = [](const char* name) { return po::value<std::string>()->value_name(name); };
    po::options_description options("Options");
    add_search_suite_options(options);
    options.add_options()("state", text("FILE"), "where the run is kept, such as evolution.json");
    options.add_options()("resume", "go on with the run in FILE");
    options.add_options()(
        "start", text("WHAT"),
        "a scorer's name, a .formula file or a formula (hybrid_start; on captured suites evolved@real)");
    add_tune_option(options);
    add_search_options(options, evolution::OptionNeeds::nobody);
    add_column_options(options);
    add_external_options(options);
    add_fitness_worker_options(options);
    add_trust_option(options);
    add_limit_options(options);
    options.add_options()("replay", text("NAME"), "replay a known run instead: seed-journey");
    options.add_options()("quiet,q", "no line a champion")("wide", "long lines, however narrow the terminal is");
    add_run_options(options);
    add_shape_options(options);
    add_keep_option(options);
    add_plugin_options(options, IsolatedByDefault::all);
    return options;
}

int replay(const po::variables_map& values) {
    const std::string& name = values["replay"].as<std::string>();
    if (name != "seed-journey") throw UsageError(fmt::format("unknown replay '{}': there is seed-journey", name));
    const Suite suite = values.contains("suite") ? std::move(suites_from(values).front()) : make_suite("micro");
    const RescoreFitness fitness(suite.search_traces(), retentions_from(values, usual_retentions("rescore")));
    print(evolution::journey_table(evolution::replay_seed_journey(fitness)));
    return exit_ok;
}

/// What decides a run, as one would type it; where it is kept and how long it goes on are added by who reports it.
std::string command_text(const po::variables_map& values, const evolution::RunConfig& config) {
    std::string text = "evictlab evolve" + search_suite_options_text(values);
    text += fmt::format(" --{} {}", config.tunes ? "tune" : "start", text::shell_quoted(config.start));
    if (!values.contains("seed")) text += fmt::format(" --seed {}", config.seed);
    text += search_options_text(values, evolution::OptionNeeds::nobody);
    text += column_options_text(values);
    text += external_options_text(values);
    text += report::cut_options({names_shape(values) ? shape_from(values) : Shape{}, keep_from(values)});
    if (values.contains("retention"))
        text += fmt::format(" --retention {}", fmt::join(retentions_from(values, {}), ","));
    return text;
}

/// What the run begins from: as typed, else as the setup has it.
void read_start(const po::variables_map& values, PluginHost& host, evolution::RunSetup& setup) {
    const bool starts = values.contains("start"), tunes = values.contains("tune");
    setup.identity.plugins.clear();
    if (tunes || (setup.config.tunes && !starts)) {
        tune_scorer(tunes ? values["tune"].as<std::string>() : setup.config.start, host,
                    values["state"].as<std::string>(), setup);
        return;
    }
    setup.config.tunes = false;
    if (starts) setup.config.start = values["start"].as<std::string>();
    setup.config.start_formula = evolution::start_formula(setup.config.start, host, setup.identity.plugins);
}

/// What was typed takes the place of what the setup has.
void read_setup(const po::variables_map& values, const evolution::SearchSuites& search, PluginHost& host,
                evolution::RunSetup& setup) {
    read_start(values, host, setup);
    read_columns(values, search, setup.config);
    read_search_options(values, setup.config, evolution::OptionNeeds::nobody);
    read_external_options(values, setup);
    read_limits(values, setup.limits);
    describe(search, setup);
    setup.identity.build = version;
}

evolution::RunSetup new_setup(const po::variables_map& values, const evolution::SearchSuites& search,
                              PluginHost& host) {
    evolution::RunSetup setup;
    setup.config = evolution::usual_config(search.relative(), values.contains("tune"));
    if (search.suites.size() == 1 && search.relative()) setup.config.start = evolution::usual_start(search, host);
    read_setup(values, search, host, setup);
    setup.identity.command = command_text(values, setup.config);
    return setup;
}

/// What may not differ from the saved run is refused by the run.
evolution::RunSetup resumed_setup(const po::variables_map& values, const evolution::RunSetup& saved,
                                  const evolution::SearchSuites& search, PluginHost& host) {
    evolution::RunSetup setup = saved;
    setup.config.node_price = evolution::RunConfig{}.node_price; // no option sets it: it is this build's
    read_setup(values, search, host, setup);
    return setup;
}

evolution::RunResult run_search(const evolution::RunSetup& setup, const report::Standing& standing,
                                const Fitness& fitness, state::RunStore& store, const evolution::External& external,
                                std::optional<evolution::SavedRun> saved, bool quiet) {
    SearchProgress shown(setup.identity.suite, standing, quiet);
    evolution::RunHooks hooks;
    hooks.stop = &interrupted();
    hooks.on_generation = [&shown](const evolution::RunProgress& progress) { shown.show(progress); };
    return evolution::run_evolution(setup, fitness, store, hooks, external, std::move(saved));
}

/// The suites of this invocation: those typed, opened already where the run is new, or those of the saved run.
evolution::SearchSuites search_from(const po::variables_map& values, std::optional<evolution::SearchSuites> typed,
                                    const std::optional<evolution::SavedRun>& saved, PluginHost& host) {
    if (saved) return resumed_search(search_request_from(values, false), saved->setup.identity, saved->retentions);
    evolution::SearchSuites search =
        typed ? std::move(*typed) : evolution::new_search(search_request_from(values, true));
    measure_references(search, host);
    return search;
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

    std::optional<evolution::SearchSuites> typed;
    if (!resume)
        typed = evolution::new_search(search_request_from(*values, true)); // wrong use is told before a file is made
    PluginHost host = host_from(*values, IsolatedByDefault::all);
    check_tune_option(*values, host);
    const input::HoldStop held; // a run that was made is left as its end leaves it
    state::RunStore store = resume ? state::RunStore::resume(file) : state::RunStore::create(file);
    const bool has_content = !store.content().is_null();
    if (!has_content && !values->contains("suite"))
        throw UsageError(
            fmt::format("the run in {} was stopped before its first generation: resume it with all the options "
                        "that it was started with",
                        file));
    std::optional<evolution::SavedRun> saved;
    const JsonField content(store.content(), file);
    if (has_content) {
        saved = evolution::saved_run(content);
        check_saved_commands(*values, saved->setup.identity, file);
        load_tuned_plugins(*values, saved->setup.identity, file, host);
    }
    evolution::SearchSuites search = search_from(*values, std::move(typed), saved, host);
    const evolution::RunSetup setup =
        saved ? resumed_setup(*values, saved->setup, search, host) : new_setup(*values, search, host);
    if (saved) check_resumable(store.content(), setup, search.all_retentions()); // before columns are made
    check_setup(setup);
    const auto workers = fitness_workers_from(*values, search, setup.config);
    const std::unique_ptr<Fitness> fitness = fitness_for(search, setup.config, &interrupted(), workers.get());
    const ExternalProcesses processes(setup, search, file, values->contains("proposer"), store.begun_before());
    remember_commands(setup, file);
    if (search.relative() && setup.config.asked_of_model == 0)
        complain(fmt::format("no judge: what wins by {} was not asked of the model itself (--verdict)",
                             setup.identity.measure));
    if (saved && !search.yardsticks) search.yardsticks = read_yardsticks(file, setup, search.all_retentions());
    if (!search.relative()) measure_yardsticks(search, host);
    keep_yardsticks(search, setup, file);
    const evolution::RunResult result = run_search(setup, standing_in(search, setup.config), *fitness, store,
                                                   processes.external(), std::move(saved), values->contains("quiet"));
    if (!result.lost.empty())
        throw Error(fmt::format("the judge was lost: {}; generation {} is saved. Mend the judge and go on with: "
                                "evictlab evolve --state {} --resume",
                                result.lost, result.state.generation, text::shell_quoted(file)));
    if (!result.hindered.empty())
        throw Error(fmt::format("{}. Generation {} is saved, and no candidate was rejected for it. See to it that the "
                                "processes evictlab-worker are not killed or stopped and have the memory, threads and "
                                "processor time that they need, then go on with: evictlab evolve --state {} --resume",
                                result.hindered, result.state.generation, text::shell_quoted(file)));
    if (result.stopped) {
        complain(fmt::format("stopped after generation {}, which is saved; go on with: evictlab evolve --state {} "
                             "--resume",
                             result.state.generation, text::shell_quoted(file)));
        return exit_interrupted;
    }
    measure_yardsticks(search, host);
    keep_yardsticks(search, setup, file);
    print_outcome(search, result, setup.config, file,
                  values->contains("wide") ? std::nullopt : terminal_width(STDOUT_FILENO));
    return host.problems().empty() ? exit_ok : exit_failure;
}

} // namespace

const Command evolve_command{"evolve", "evolve better scoring formulas, or resume a run", run, evolve_options, ""};

} // namespace evictlab::cli
