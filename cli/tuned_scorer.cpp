// SPDX-License-Identifier: MIT
#include "cli/tuned_scorer.hpp"

#include <fmt/format.h>

#include "base/option_error.hpp"
#include "cli/search_options.hpp"
#include "framework/scorers/parameter_space.hpp"

namespace evictlab::cli {
namespace {

namespace fs = std::filesystem;

fs::path folder_of(const fs::path& state_file) { return fs::absolute(state_file).lexically_normal().parent_path(); }

bool is_built_in(const Plugin& plugin) {
    std::error_code error;
    return fs::equivalent(builtin_plugin_folder(), plugin.file().parent_path(), error);
}

} // namespace

void add_tune_option(po::options_description& options) {
    options.add_options()("tune", po::value<std::string>()->value_name("SCORER"),
                          "evolve the parameters of this plugin instead of formulas, such as snapkv@kvpress");
}

void check_tune_option(const po::variables_map& values, PluginHost& host) {
    if (!values.contains("tune")) return;
    std::vector<std::string> unfit{"start", "proposer", "replay"};
    for (const evolution::SearchOption& option : evolution::search_options())
        if (option.of != evolution::OptionOf::any) unfit.push_back(flag_of(option.key));
    for (const std::string& option : unfit)
        if (values.contains(option)) throw OptionError(option, "is for evolving formulas: leave it away with --tune");
    ParameterSpace(make_scorer(values["tune"].as<std::string>(), host));
}

void tune_scorer(const std::string& scorer, PluginHost& host, const fs::path& state_file, evolution::RunSetup& setup) {
    const Scorer named = make_scorer(scorer, host);
    auto space = std::make_shared<const ParameterSpace>(named);
    setup.config.start = space->text(space->start());
    setup.config.tunes = true;
    setup.config.space = std::move(space);
    setup.identity.plugin_files.clear();
    for (const Scorer* each = &named; each; each = each->base()) {
        const Plugin* const plugin = each->plugin().get();
        if (!plugin) continue;
        setup.identity.plugins[plugin->id()] = plugin->file_sha256();
        if (!is_built_in(*plugin))
            setup.identity.plugin_files[plugin->id()] = plugin->file().lexically_relative(folder_of(state_file));
    }
}

void load_tuned_plugins(const po::variables_map& values, const evolution::RunIdentity& saved,
                        const fs::path& state_file, PluginHost& host) {
    if (values.contains("tune") || values.contains("start")) return;
    for (const auto& [id, place] : saved.plugin_files) {
        if (host.find(id)) continue;
        const fs::path file = (folder_of(state_file) / place).lexically_normal();
        const std::string advice = "say where it is by --tune PATH, with the values that the run began with, or by "
                                   "--plugin-dir";
        if (!fs::exists(file))
            throw UsageError(fmt::format("the run tunes the plugin '{}', whose file was {} and is not there: {}", id,
                                         file.string(), advice));
        if (values.contains("no-isolate"))
            throw UsageError(fmt::format("the run tunes the plugin '{}' from {}, which only the state file names: to "
                                         "run it in this process (--no-isolate), {}",
                                         id, file.string(), advice));
        host.load(file);
    }
}

Scorer scorer_of(const evolution::Candidate& candidate, const ParameterSpace* space) {
    return space ? space->scorer(candidate.genome.parameters()->values)
                 : Scorer::from_formula("champion", candidate.genome.formula());
}

} // namespace evictlab::cli
