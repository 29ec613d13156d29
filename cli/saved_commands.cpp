// SPDX-License-Identifier: MIT
#include "cli/saved_commands.hpp"

#include <fmt/format.h>

#include <array>

#include "base/text/shown.hpp"
#include "cli/output.hpp"
#include "state/known_commands.hpp"

namespace evictlab::cli {
namespace {

struct Named {
    const char *who, *option;
    const std::string& command;
};

std::array<Named, 2> commands_of(const evolution::RunIdentity& identity) {
    return {Named{"judge", "verdict", identity.judge_command},
            Named{"proposer", "proposer", identity.proposer_command}};
}

} // namespace

void add_trust_option(po::options_description& options) {
    options.add_options()("trust-commands",
                          "resume a run from elsewhere with the judge and proposer that its state names, once you have "
                          "looked at them");
}

void check_saved_commands(const po::variables_map& values, const evolution::RunIdentity& saved,
                          const std::filesystem::path& state_file) {
    const state::KnownCommands known;
    std::string doubted;
    for (const Named& named : commands_of(saved)) {
        if (named.command.empty() || values.contains(named.option)) continue;
        complain(fmt::format("{} names this {}: {}", text::named(state_file.string(), text::all), named.who,
                             text::line(named.command)));
        if (values.contains("trust-commands")) continue;
        if (const std::string why = known.doubt(state_file, named.command); !why.empty())
            doubted += fmt::format("\n  the {} is not run, because {}; give --{} again", named.who, text::line(why),
                                   named.option);
    }
    if (doubted.empty()) return;
    throw UsageError(fmt::format("the state names commands that it may have from somebody else:{}\nLook at them first. "
                                 "--trust-commands runs them as the state has them.",
                                 doubted));
}

void remember_commands(const evolution::RunSetup& setup, const std::filesystem::path& state_file) {
    const state::KnownCommands known;
    for (const Named& named : commands_of(setup.identity)) {
        if (named.command.empty()) continue;
        if (const std::string why = known.remember(state_file, named.command); !why.empty())
            complain(fmt::format("that you typed this {} is not remembered, because {}: --resume will want --{} again",
                                 named.who, text::line(why), named.option));
    }
}

} // namespace evictlab::cli
