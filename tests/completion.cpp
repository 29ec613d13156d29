// What shells complete, and the manual's page: all commands with all their options, in forms that shells read.
// SPDX-License-Identifier: MIT
#include <regex>
#include <set>

#include "tests/support/catch.hpp"
#include "tests/support/process.hpp"
#include "tests/support/temporary_folder.hpp"

using namespace evictlab::test;

namespace {

constexpr const char* all_commands[] = {"bench",  "evolve",  "status", "log",     "export",
                                        "report", "plugins", "check",  "formula", "trace"};

/// That its help shows.
std::set<std::string> options_of(const std::string& command) {
    std::set<std::string> options;
    const std::string help = shell("evictlab " + command + " --help").out;
    static const std::regex option(R"(\n  (?:-\w \[ )?--([a-z-]+))");
    for (std::sregex_iterator at(help.begin(), help.end(), option), end; at != end; ++at) options.insert((*at)[1]);
    return options;
}

} // namespace

TEST_CASE("completions and the manual have every option of every command") {
    const std::string bash = shell("evictlab completion bash").out, zsh = shell("evictlab completion zsh").out,
                      fish = shell("evictlab completion fish").out, man = shell("evictlab completion man").out;
    for (const std::string command : all_commands) {
        CHECK_THAT(man, ContainsSubstring("\n.SH EVICTLAB " + command + "\n.nf\nUsage: evictlab " + command));
        for (const std::string& option : options_of(command)) {
            INFO(command << " --" << option);
            CHECK(std::regex_search(bash, std::regex("\n    " + command + "\\) options='[^']*--" + option + "[ ']")));
            CHECK_THAT(zsh, ContainsSubstring("'*--" + option + "["));
            CHECK_THAT(fish, ContainsSubstring("'__fish_seen_subcommand_from " + command + "' -l " + option + " "));
        }
    }
    const Outcome wrong = shell("evictlab completion bsh");
    CHECK(wrong.code == 2);
    CHECK_THAT(wrong.err, ContainsSubstring("did you mean 'bash'?"));
}

TEST_CASE("bash completes commands, options and suites") {
    const TemporaryFolder folder;
    const auto completed = [&folder](const std::string& words, int at) {
        const Outcome outcome =
            shell("evictlab completion bash > completion.bash && bash -c 'source ./completion.bash; COMP_WORDS=(" +
                      words + "); COMP_CWORD=" + std::to_string(at) + "; _evictlab; echo \"${COMPREPLY[@]}\"'",
                  folder.path.string());
        INFO(outcome.err);
        CHECK(outcome.code == 0);
        return outcome.out;
    };
    CHECK(completed("evictlab be", 1) == "bench\n");
    CHECK(completed("evictlab help st", 2) == "status\n");
    CHECK(completed("evictlab bench --sp", 2) == "--split\n");
    CHECK(completed("evictlab bench --suite mic", 3) == "micro\n");
    CHECK(completed("evictlab formula check completion.b", 3) == "completion.bash\n");
}
