// evictlab status: how a run is getting on. SPDX-License-Identifier: MIT

#include <unistd.h>

#include "base/json/json.hpp"
#include "cli/destinations.hpp"
#include "cli/made.hpp"
#include "cli/output.hpp"
#include "cli/shared_options.hpp"
#include "cli/terminal.hpp"
#include "report/bench_json.hpp"
#include "report/run_status.hpp"

namespace evictlab::cli {
namespace {

constexpr std::string_view usage =
    "Usage: evictlab status STATE [--json]\n\n"
    "Says how the evolution run in STATE is getting on, or how it ended: errors, what was tried, how fast, who has it\n"
    "open, and the champion. May be asked at any time, also while the run goes on, which it does not disturb.";

constexpr std::string_view examples = "  evictlab status evolution.json\n"
                                      "  evictlab status evolution.json --json\n"
                                      "  watch -n 5 evictlab status evolution.json\n";

po::options_description status_options() {
    po::options_description options("Options");
    options.add_options()("json", "the same and the history, as JSON")("wide",
                                                                       "long lines, however narrow the terminal is");
    return options;
}

int run(const std::vector<std::string>& arguments) {
    const auto values = parse_options(arguments, status_options(), "state", usage, examples);
    if (!values) return exit_ok;
    const report::RunStatus status = report::read_status(state_argument(*values));
    if (values->contains("json")) {
        Json json = report::to_json(status);
        add_refusals(json);
        print(report::dump(with_made(json)));
    } else {
        const auto width = values->contains("wide") ? std::nullopt : terminal_width(STDOUT_FILENO);
        print(report::to_text(status, report::glyphs_of_environment(), width) +
              destinations_text(status.state.champion().genome, width));
    }
    return exit_ok;
}

} // namespace

const Command status_command{"status", "how a run is getting on, or ended", run, status_options, "state"};

} // namespace evictlab::cli
