// evictlab export: a formula leaves as its own file, as a C++ plugin, as a press of kvpress or as PyTorch.
// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include "base/output/write_file.hpp"
#include "base/text/quoting.hpp"
#include "cli/inputs.hpp"
#include "cli/output.hpp"
#include "cli/plugin_options.hpp"
#include "cli/shape_options.hpp"
#include "cli/shared_options.hpp"
#include "cli/version.hpp"
#include "export/exports.hpp"
#include "export/targets.hpp"
#include "framework/capture/calibration_file.hpp"
#include "framework/plugin/descriptor.hpp"
#include "framework/plugin/scaffold.hpp"
#include "framework/scorers/full_name.hpp"

namespace evictlab::cli {
namespace {

constexpr std::string_view usage =
    "Usage: evictlab export CHAMPION --to formula|cpp-plugin|kvpress|torch [--name ID] [--output PATH]\n\n"
    "Writes a formula in a form that others can use, with its provenance on top. CHAMPION is\n"
    "  evolution.json           a run's state file: its champion\n"
    "  evolution.json:g12-s34   one of the run's champions, by its id\n"
    "  mine.formula, '=...'     a formula\n"
    "  hybrid_start, h2o@seed   a scorer whose plugin has a formula for it; a name without a preset is the published\n"
    "                           rule for kvpress and torch, else the seed's\n\n"
    "  formula      a .formula file, which every command takes as a scorer\n"
    "  cpp-plugin   a folder with a C++ plugin and its CMakeLists.txt, which needs the SDK alone\n"
    "  kvpress      a Python file with a press for NVIDIA's kvpress 0.5.5, which needs nothing of evictlab; with\n"
    "               --granularity, --block and the like it evicts at that grain\n"
    "  torch        a Python file with the functions by which evictlab-tools scores on a model's device";

constexpr std::string_view examples = "  evictlab export evolution.json --to formula --output champion.formula\n"
                                      "  evictlab export evolution.json --to cpp-plugin --name my_champion\n"
                                      "  evictlab export '=if(is_sink, keep, window_attn:64*value_norm)' --to kvpress "
                                      "--name mine --output mine_press.py\n"
                                      "  evictlab export evolved@real --to kvpress --granularity layer --block 16 "
                                      "--sinks 4 --keep 512\n";

po::options_description export_options() {
    po::options_description options("Options");
    options.add_options()("to", po::value<std::string>()->value_name("FORM"), exporting::target_names(true).c_str());
    options.add_options()("name", po::value<std::string>()->value_name("ID"),
                          "of the scorer (a run's champion: champion_HASH)");
    options.add_options()("output,o", po::value<std::string>()->value_name("PATH"),
                          "file, or folder of the plugin (ID.formula, ID, ID_press.py or ID_scores.py)");
    options.add_options()("calibration", po::value<std::string>()->value_name("FILE"),
                          "kvpress and torch: what evictlab-calibrate made of the model, for columns that read it");
    add_shape_options(options);
    options.add_options()("keep", po::value<std::vector<std::string>>()->value_name("K"),
                          "tokens that each set of a press keeps, in place of a compression ratio");
    add_plugin_options(options, IsolatedByDefault::not_built_in);
    return options;
}

/// Throws UsageError where the form leaves the cut to others.
exporting::PressCut cut_from(const po::variables_map& values, const std::string& to) {
    exporting::PressCut cut{shape_from(values), {}};
    const std::vector<std::size_t> keep = keep_from(values);
    if (keep.size() > 1) throw UsageError("--keep: a press keeps one number of tokens");
    if (!keep.empty()) cut.keep = keep.front();
    if (to != "kvpress" && (names_shape(values) || cut.keep))
        throw UsageError(
            fmt::format("{} is for --to kvpress: of the other forms whoever runs them decides at which grain "
                        "tokens go (docs/shapes.md)",
                        cut.keep ? "--keep" : "a shape"));
    return cut;
}

void write_formula(const exporting::Champion& champion, const std::string& path) {
    if (!path.ends_with(".formula"))
        throw UsageError(
            fmt::format("--output is '{}', but a formula is known as a scorer by the ending .formula", path));
    write_file(path, exporting::formula_file(champion, version));
    say("{0}\n\nSee where it stands:\n  evictlab bench --suite micro --scorers {0}\n", text::shell_quoted(path));
}

void write_plugin(const exporting::Champion& champion, const std::string& path) {
    for (const auto& file : write_plugin_project(champion.name, path, exporting::cpp_plugin(champion, version)))
        say("{}\n", file.string());
    say("\nBuild and run it:\n  cmake -S {0} -B {0}/build && cmake --build {0}/build\n"
        "  evictlab bench --suite micro --scorers {1} --plugin-dir {0}/build\n",
        text::shell_quoted(path), champion.name);
}

void write_press(const exporting::Champion& champion, const exporting::PressCut& cut, const std::string& path) {
    write_file(path, exporting::kvpress_press(champion, version, cut));
    const std::string module = std::filesystem::path(path).stem().string();
    say("{}\n\nUse it in Python, with kvpress 0.5.5:\n  from {} import {}\n"
        "  with {}({})(model): ...\n",
        path, module, exporting::press_class(champion.name), exporting::press_class(champion.name),
        cut.keep ? "" : "compression_ratio=0.5");
}

void write_scores(const exporting::Champion& champion, const std::string& path) {
    write_file(path, exporting::torch_scores(champion, version));
    say("{}\n", path);
}

/// A scorer's bare name is that of the rule for a model's attention where the form runs in models, else the seed's.
std::string full_name_of(const std::string& what, std::string_view to, const PluginHost& host) {
    if (!host.find(parse_scorer_name(what).id)) return what;
    return full_name(what, to == "kvpress" || to == "torch" ? ScorerRules::published : ScorerRules::seed, host);
}

int run(const std::vector<std::string>& arguments) {
    const auto values = parse_options(arguments, export_options(), "champion", usage, examples);
    if (!values) return exit_ok;
    const auto& words = (*values)["champion"].as<std::vector<std::string>>();
    if (words.size() != 1)
        throw UsageError("expected one CHAMPION: a run's state file, a formula or a scorer; see --help");
    if (!values->contains("to"))
        throw UsageError("no form given: add --to formula, --to cpp-plugin, --to kvpress or --to torch");
    const std::string to = (*values)["to"].as<std::string>();
    const PluginHost host = host_from(*values, IsolatedByDefault::not_built_in);
    exporting::Champion champion = exporting::find_champion(full_name_of(words[0], to, host), host);
    if (values->contains("name")) champion.name = (*values)["name"].as<std::string>();
    if (!is_identifier(champion.name))
        throw UsageError(fmt::format("--name is '{}', but must match [a-z][a-z0-9_]*", champion.name));
    Inputs inputs;
    if (values->contains("calibration")) {
        champion.calibration = read_calibration((*values)["calibration"].as<std::string>());
        inputs.add(champion.calibration->file);
    }
    inputs.add_scorers(words[0]);
    inputs.add_run(words[0]);
    inputs.add_run(words[0].substr(0, words[0].rfind(':'))); // evolution.json:g12-s34
    const auto path = [&](std::string_view ending) {
        std::string output =
            values->contains("output") ? (*values)["output"].as<std::string>() : champion.name + std::string(ending);
        inputs.check_output("--output", output);
        return output;
    };
    if (champion.calibration && to != "kvpress" && to != "torch")
        throw UsageError("--calibration is for --to kvpress and torch: a formula and a plugin read the suite's own");
    const exporting::PressCut cut = cut_from(*values, to);
    if (to == "formula")
        write_formula(champion, path(".formula"));
    else if (to == "cpp-plugin")
        write_plugin(champion, path(""));
    else if (to == "kvpress")
        write_press(champion, cut, path("_press.py"));
    else if (to == "torch")
        write_scores(champion, path("_scores.py"));
    else
        throw UsageError(fmt::format("--to is '{}', but must be {}", to, exporting::target_names(true)));
    return exit_ok;
}

} // namespace

const Command export_command{"export", "take a formula away: as a file, a C++ plugin or a kvpress press", run,
                             export_options, "champion"};

} // namespace evictlab::cli
