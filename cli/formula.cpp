// evictlab formula: checks, prints and explains formulas.
// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include <algorithm>

#include "base/error.hpp"
#include "cli/command.hpp"
#include "cli/output.hpp"
#include "cli/plugin_options.hpp"
#include "framework/formula/formula.hpp"
#include "framework/formula/simplified.hpp"
#include "framework/plugin/descriptor.hpp"
#include "framework/scorers/published.hpp"

namespace evictlab::cli {
namespace {

constexpr std::string_view usage =
    "Usage: evictlab formula check|print|explain FILE-TEXT-or-SCORER\n\n"
    "  check    says whether it is a formula, and if not, where it goes wrong\n"
    "  print    its text, a shorter formula of the same scores where its columns allow one, its canonical form and\n"
    "           the hash that equal formulas share\n"
    "  explain  what it does, in words\n\n"
    "`evictlab plugins columns` lists the columns that a formula may use.";

constexpr std::string_view examples =
    "  evictlab formula check 'recent_attn - 0.1*min(key_norm, 2)'\n"
    "  evictlab formula print my_scorer.formula\n"
    "  evictlab formula print evolved@real\n"
    "  evictlab formula explain 'if(is_sink, keep, cumulative_attn/(relative_pos + 1))'\n";

/// A file's content where the argument names one, or a pipe as shells name them; a scorer's formula; else the argument
/// itself, with or without the sign that formulas have among scorers.
std::string text_of(const std::string& argument, const po::variables_map& values) {
    constexpr std::string_view ending = ".formula";
    const bool names_file = argument.size() > ending.size() && argument.ends_with(ending);
    const bool names_pipe = argument == "/dev/stdin" || argument.starts_with("/dev/fd/");
    if (names_file || names_pipe) return formula::read_formula_file(argument);
    if (argument.starts_with('=')) return argument.substr(1);
    const std::string id = parse_scorer_name(argument).id;
    const bool is_column =
        std::ranges::any_of(columns::all(), [&id](const ColumnInfo& column) { return column.name == id; });
    if (!is_identifier(id) || is_column) return argument;
    const PluginHost host = host_from(values, IsolatedByDefault::not_built_in);
    if (const auto twin = formula_twin(argument, host)) return *twin;
    if (host.find(id))
        throw UsageError(fmt::format("{} is a plugin's own code, for which it gives no formula", argument));
    return argument;
}

po::options_description formula_options() {
    po::options_description options("Options");
    add_plugin_options(options, IsolatedByDefault::not_built_in);
    return options;
}

int run(const std::vector<std::string>& arguments) {
    const auto values = parse_options(arguments, formula_options(), "words", usage, examples);
    if (!values) return exit_ok;
    const auto& words = (*values)["words"].as<std::vector<std::string>>();
    if (words.size() != 2)
        throw UsageError("expected one of check, print, explain and one FILE-TEXT-or-SCORER; see --help");
    const std::string& what = words[0];
    if (what != "check" && what != "print" && what != "explain")
        throw UsageError(fmt::format("unknown action '{}': it is check, print or explain", what));
    const formula::Formula parsed = formula::parse(text_of(words[1], *values));
    if (what == "check") {
        say("ok: {} nodes, depth {}\n", parsed.size(), parsed.depth());
        if (formula::canonical(parsed).columns().empty())
            print("It scores all tokens alike: all are ties, of which the first tokens stay.\n");
    } else if (what == "print") {
        say("formula    {}\n", formula::print(parsed));
        if (const formula::Formula shorter = formula::simplified(parsed); shorter.size() < parsed.size())
            say("simplified {}\n", formula::print(shorter));
        say("canonical  {}\nhash       {}\n", formula::print(formula::canonical(parsed)),
            formula::canonical_hash(parsed));
    } else {
        print(formula::explain(parsed));
    }
    return exit_ok;
}

} // namespace

const Command formula_command{"formula", "check, print and explain formulas", run, formula_options, "words"};

} // namespace evictlab::cli
