// SPDX-License-Identifier: MIT
#include "cli/search_options.hpp"

#include "cli/shared_options.hpp"

namespace evictlab::cli {
namespace {

constexpr const char* names[] = {
    "parents",   "islands", "migration",          "archive",     "semantic-duplicates", "race",
    "max-nodes", "tuned",   "tuning-evaluations", "query-stride"};

/// One of two words; true for the first.
std::optional<bool> either_from(const po::variables_map& values, const char* option, std::string_view yes,
                                std::string_view no) {
    if (!values.contains(option)) return std::nullopt;
    const std::string& given = values[option].as<std::string>();
    if (given != yes && given != no)
        throw UsageError(fmt::format("--{} is '{}', but must be {} or {}", option, given, yes, no));
    return given == yes;
}

} // namespace

void add_search_options(po::options_description& options) {
    const auto text = [](const char* name) { return po::value<std::string>()->value_name(name); };
    options.add_options()("parents", text("HOW"), "drawn by: tournament, or lexicase over documents (tournament)");
    options.add_options()("islands", text("N"), "parts of the population that breed apart (1)");
    options.add_options()("migration", text("N"), "generations after which each island's best moves on (10)");
    options.add_options()("archive", text("SHARE"),
                          "of the parents come out of an archive of the best of each kind (0: none is kept)");
    options.add_options()("semantic-duplicates", text("HOW"),
                          "formulas that keep what one no larger keeps: measure or skip (measure)");
    options.add_options()("max-nodes", text("N"), "operators and operands of a formula, at most (60; captured: 200)");
    options.add_options()("tuned", text("N"),
                          "structures a generation whose constants CMA-ES tunes (8; captured: 2; --tune: 1)");
    options.add_options()("tuning-evaluations", text("N"),
                          "of a structure's first tuning (200; captured: 80; --tune: 24)");
    options.add_options()("query-stride", text("N"),
                          "on captured suites, measure by every N-th query of a continuation (1)");
    options.add_options()("race", text("HOW"),
                          "on captured suites, candidates that fall behind are measured in part: on or off (off)");
}

void read_search_options(const po::variables_map& values, evolution::RunConfig& config) {
    constexpr const char* whole = "a whole number";
    using evolution::ParentSelection;
    if (const auto lexicase = either_from(values, "parents", "lexicase", "tournament"))
        config.parents = *lexicase ? ParentSelection::lexicase : ParentSelection::tournament;
    read_number<std::uint32_t>(values, "islands", whole, config.islands);
    read_number<std::uint32_t>(values, "migration", whole, config.migration);
    read_number<double>(values, "archive", "a share such as 0.2", config.archive);
    config.semantic_duplicates =
        either_from(values, "semantic-duplicates", "skip", "measure").value_or(config.semantic_duplicates);
    read_number<std::uint32_t>(values, "max-nodes", whole, config.max_nodes);
    read_number<std::uint32_t>(values, "tuned", whole, config.tuned);
    read_number<std::uint32_t>(values, "tuning-evaluations", whole, config.tuning_evaluations);
    read_number<std::uint32_t>(values, "query-stride", whole, config.query_stride);
    if (config.query_stride == 0) throw UsageError("--query-stride must be at least 1");
    config.race = either_from(values, "race", "on", "off").value_or(config.race);
}

std::string search_options_text(const po::variables_map& values) {
    std::string text;
    for (const char* name : names)
        if (values.contains(name)) text += fmt::format(" --{} {}", name, values[name].as<std::string>());
    return text;
}

} // namespace evictlab::cli
