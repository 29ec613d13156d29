// SPDX-License-Identifier: MIT
#include "cli/tuned_scorer.hpp"

#include <fmt/format.h>

#include "framework/evaluation/parameter_space.hpp"

namespace evictlab::cli {

void add_tune_option(po::options_description& options) {
    options.add_options()("tune", po::value<std::string>()->value_name("SCORER"),
                          "evolve the parameters of this plugin instead of formulas, such as snapkv@kvpress");
}

void check_tune_option(const po::variables_map& values, PluginHost& host) {
    if (!values.contains("tune")) return;
    for (const char* option : {"start", "archive", "semantic-duplicates", "race", "max-nodes", "query-stride",
                               "proposer", "proposals", "replay"})
        if (values.contains(option))
            throw UsageError(fmt::format("--{} is for evolving formulas: leave it away with --tune", option));
    ParameterSpace(make_scorer(values["tune"].as<std::string>(), host));
}

void tune_scorer(const std::string& scorer, PluginHost& host, evolution::RunSetup& setup) {
    const Scorer named = make_scorer(scorer, host);
    auto space = std::make_shared<const ParameterSpace>(named);
    setup.config.start = space->text(space->start());
    setup.config.tunes = true;
    setup.config.space = std::move(space);
    for (const Scorer* each = &named; each; each = each->base())
        if (each->plugin()) setup.identity.plugins[each->plugin()->id()] = each->plugin()->file_sha256();
}

Scorer scorer_of(const evolution::Candidate& candidate, const ParameterSpace* space) {
    return space ? space->scorer(candidate.parameters->values) : Scorer::from_formula("champion", candidate.formula);
}

} // namespace evictlab::cli
