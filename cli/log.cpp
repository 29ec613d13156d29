// evictlab log: how a run's champions came about. SPDX-License-Identifier: MIT
#include <unistd.h>

#include "cli/made.hpp"
#include "cli/output.hpp"
#include "cli/shared_options.hpp"
#include "cli/terminal.hpp"
#include "report/bench_json.hpp"
#include "report/genealogy.hpp"

namespace evictlab::cli {
namespace {

constexpr std::string_view usage =
    "Usage: evictlab log STATE [--all] [--rejected N] [--json]\n\n"
    "Lists the champions of the evolution run in STATE, each with its hypothesis, errors, formula, and the candidates\n"
    "by way of which it descends from a champion before. May be asked while the run goes on.";

constexpr std::string_view examples = "  evictlab log evolution.json\n"
                                      "  evictlab log evolution.json --all\n"
                                      "  evictlab log evolution.json --rejected 20\n"
                                      "  evictlab log evolution.json --json\n";

po::options_description log_options() {
    po::options_description options("Options");
    options.add_options()("all", "also the accepted candidates that became no champions");
    options.add_options()("rejected", po::value<std::string>()->value_name("N"),
                          "also the last N rejected candidates, with the reasons");
    options.add_options()("json", "the same as JSON");
    return options;
}

int run(const std::vector<std::string>& arguments) {
    const auto values = parse_options(arguments, log_options(), "state", usage, examples);
    if (!values) return exit_ok;
    report::LogOptions wanted;
    wanted.accepted = values->contains("all");
    wanted.rejected = number_from<std::size_t>(*values, "rejected", "a whole number").value_or(0);
    const report::RunLog log = report::read_log(state_argument(*values), wanted);
    if (values->contains("json"))
        print(report::dump(with_made(report::to_json(log))));
    else
        print(set_in(report::to_text(log), terminal_width(STDOUT_FILENO).value_or(text::all)));
    return exit_ok;
}

} // namespace

const Command log_command{"log", "how a run's champions came about", run, log_options, "state"};

} // namespace evictlab::cli
