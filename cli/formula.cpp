// evictlab formula: checks, prints and explains formulas.
// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include "base/error.hpp"
#include "cli/command.hpp"
#include "cli/output.hpp"
#include "framework/formula/formula.hpp"

namespace evictlab::cli {
namespace {

constexpr std::string_view usage =
    "Usage: evictlab formula check|print|explain FILE-or-TEXT\n\n"
    "  check    says whether it is a formula, and if not, where it goes wrong\n"
    "  print    its shortest text, its canonical form and the hash that equal formulas share\n"
    "  explain  what it does, in words\n\n"
    "`evictlab plugins columns` lists the columns that a formula may use.";

constexpr std::string_view examples =
    "  evictlab formula check 'recent_attn - 0.1*min(key_norm, 2)'\n"
    "  evictlab formula print my_scorer.formula\n"
    "  evictlab formula explain 'if(is_sink, keep, cumulative_attn/(relative_pos + 1))'\n";

/// A file's content where the argument names one, or a pipe as shells name them, else the argument itself.
std::string text_of(const std::string& argument) {
    constexpr std::string_view ending = ".formula";
    const bool names_file = argument.size() > ending.size() && argument.ends_with(ending);
    const bool names_pipe = argument == "/dev/stdin" || argument.starts_with("/dev/fd/");
    return names_file || names_pipe ? formula::read_formula_file(argument) : argument;
}

po::options_description formula_options() { return po::options_description("Options"); }

int run(const std::vector<std::string>& arguments) {
    const auto values = parse_options(arguments, formula_options(), "words", usage, examples);
    if (!values) return exit_ok;
    const auto& words = (*values)["words"].as<std::vector<std::string>>();
    if (words.size() != 2) throw UsageError("expected one of check, print, explain and one FILE-or-TEXT; see --help");
    const std::string& what = words[0];
    if (what != "check" && what != "print" && what != "explain")
        throw UsageError(fmt::format("unknown action '{}': it is check, print or explain", what));
    const formula::Formula parsed = formula::parse(text_of(words[1]));
    if (what == "check") {
        say("ok: {} nodes, depth {}\n", parsed.size(), parsed.depth());
    } else if (what == "print") {
        say("formula    {}\ncanonical  {}\nhash       {}\n", formula::print(parsed),
            formula::print(formula::canonical(parsed)), formula::canonical_hash(parsed));
    } else {
        print(formula::explain(parsed));
    }
    return exit_ok;
}

} // namespace

const Command formula_command{"formula", "check, print and explain formulas", run, formula_options, "words"};

} // namespace evictlab::cli
