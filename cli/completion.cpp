// evictlab completion: what shells complete, and the manual's page, from the same declarations as --help.
// SPDX-License-Identifier: MIT
#include <boost/algorithm/string/replace.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <iostream>
#include <sstream>
#include <vector>

#include "base/error.hpp"
#include "base/text/suggestion.hpp"
#include "cli/command.hpp"
#include "cli/version.hpp"
#include "framework/capture/suites.hpp"

namespace evictlab::cli {
namespace {

constexpr std::string_view usage =
    "Usage: evictlab completion bash|zsh|fish|man\n\n"
    "Prints what a shell needs to complete commands and options, or the manual's page. An installation has all four\n"
    "where shells and man look for them.";

constexpr std::string_view examples =
    "  evictlab completion bash > ~/.local/share/bash-completion/completions/evictlab\n"
    "  evictlab completion fish > ~/.config/fish/completions/evictlab.fish\n"
    "  evictlab completion man | man -l -\n";

po::options_description completion_options() { return po::options_description("Options"); }

struct Option {
    std::string name, help, value; ///< value: "" where it takes none
};

std::vector<Option> options_of(const Command& command) {
    std::vector<Option> found;
    const po::options_description described = command.options();
    for (const auto& option : described.options()) {
        const auto semantic = option->semantic();
        found.push_back(
            {option->long_name(), option->description(), semantic->max_tokens() > 0 ? semantic->name() : ""});
    }
    found.push_back({"help", "show this text", ""});
    return found;
}

std::string names_of_commands() {
    std::string names = "help";
    for (const Command& command : commands()) names += fmt::format(" {}", command.name);
    return names;
}

std::string bash() {
    std::string cases;
    for (const Command& command : commands()) {
        std::string names;
        for (const Option& option : options_of(command)) names += fmt::format(" --{}", option.name);
        cases += fmt::format("    {}) options='{}' ;;\n", command.name, names.substr(1));
    }
    return fmt::format(R"(# bash completion of evictlab
_evictlab() {{
    local word=${{COMP_WORDS[COMP_CWORD]}} before=${{COMP_WORDS[COMP_CWORD - 1]}} options=
    if [ "$COMP_CWORD" -eq 1 ] || [ "$before" = help ]; then
        COMPREPLY=($(compgen -W '{} --help --version' -- "$word"))
        return
    fi
    if [ "$before" = --suite ]; then
        COMPREPLY=($(compgen -W '{}' -- "$word") $(compgen -d -- "$word"))
        return
    fi
    case ${{COMP_WORDS[1]}} in
{}    esac
    case $word in
    -*) COMPREPLY=($(compgen -W "$options" -- "$word")) ;;
    *) COMPREPLY=($(compgen -f -- "$word")) ;;
    esac
}}
complete -o filenames -F _evictlab evictlab
)",
                       names_of_commands(), fmt::join(suite_names(), " "), cases);
}

/// Between single quotes, of which the text has none then.
std::string unquoted(std::string text) {
    boost::replace_all(text, "'", "");
    return text;
}

/// In a specification of _arguments, whose own signs are these.
std::string zsh_text(std::string text) {
    for (const char* sign : {"\\", "[", "]", ":"}) boost::replace_all(text, sign, std::string("\\") + sign);
    return unquoted(text);
}

std::string zsh() {
    std::string described, cases;
    for (const Command& command : commands()) {
        described += fmt::format("        '{}:{}'\n", command.name, zsh_text(std::string(command.summary)));
        cases += fmt::format("    {})\n        _arguments", command.name);
        for (const Option& option : options_of(command)) {
            const std::string value = option.value.empty() ? ""
                                      : option.name == "suite"
                                          ? fmt::format(":suite:({})", fmt::join(suite_names(), " "))
                                          : fmt::format(":{}:_files", zsh_text(option.value));
            cases += fmt::format(" \\\n            '*--{}[{}]{}'", option.name, zsh_text(option.help), value);
        }
        cases += " \\\n            '*: :_files' ;;\n";
    }
    return fmt::format(R"(#compdef evictlab
_evictlab() {{
    local -a known=(
{}        'help:a command in detail'
    )
    if (( CURRENT == 2 )); then
        _describe command known
        return
    fi
    shift words
    (( CURRENT-- ))
    case $words[1] in
{}    help) _describe command known ;;
    esac
}}
_evictlab "$@"
)",
                       described, cases);
}

std::string fish() {
    std::string text = "# fish completion of evictlab\n";
    for (const Command& command : commands()) {
        text += fmt::format("complete -c evictlab -n __fish_use_subcommand -f -a {} -d '{}'\n", command.name,
                            unquoted(std::string(command.summary)));
        for (const Option& option : options_of(command))
            text += fmt::format("complete -c evictlab -n '__fish_seen_subcommand_from {}' -l {}{} -d '{}'\n",
                                command.name, option.name,
                                option.value.empty()     ? ""
                                : option.name == "suite" ? fmt::format(" -x -a '{}'", fmt::join(suite_names(), " "))
                                                         : " -r",
                                unquoted(option.help));
    }
    return text;
}

/// Lines as they are, in a page of man.
std::string verbatim(const std::string& text) {
    std::string out = ".nf\n";
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) {
        boost::replace_all(line, "\\", "\\e");
        boost::replace_all(line, "-", "\\-");
        if (line.starts_with('.') || line.starts_with('\'')) line.insert(0, "\\&");
        out += line + '\n';
    }
    return out + ".fi\n";
}

/// What its --help prints.
std::string help_of(const Command& command) {
    std::ostringstream taken;
    std::streambuf* const before = std::cout.rdbuf(taken.rdbuf());
    try {
        (void)command.run({"--help"});
    } catch (...) {
        std::cout.rdbuf(before);
        throw;
    }
    std::cout.rdbuf(before);
    return taken.str();
}

std::string man() {
    std::string text = fmt::format(".TH EVICTLAB 1 \"\" \"evictlab {}\" \"User Commands\"\n", version);
    text += ".SH NAME\nevictlab \\- measures, evolves and ships KV\\-cache eviction scorers\n"
            ".SH SYNOPSIS\n.B evictlab\nCOMMAND [OPTION...]\n.SH COMMANDS\n";
    for (const Command& command : commands()) text += fmt::format(".TP\n.B {}\n{}\n", command.name, command.summary);
    for (const Command& command : commands())
        text += fmt::format(".SH EVICTLAB {}\n{}", command.name, verbatim(help_of(command)));
    return text;
}

int run(const std::vector<std::string>& arguments) {
    const auto values = parse_options(arguments, completion_options(), "of", usage, examples);
    if (!values) return exit_ok;
    const auto& words = (*values)["of"].as<std::vector<std::string>>();
    const std::vector<std::string> known{"bash", "zsh", "fish", "man"};
    if (words.size() != 1) throw UsageError("expected one of bash, zsh, fish and man; see --help");
    const std::string& of = words.front();
    if (of == "bash")
        std::cout << bash();
    else if (of == "zsh")
        std::cout << zsh();
    else if (of == "fish")
        std::cout << fish();
    else if (of == "man")
        std::cout << man();
    else
        throw UsageError(fmt::format("no completion for '{}'{}", of, text::what_there_is(of, known, "shell")));
    return exit_ok;
}

} // namespace

const Command completion_command{"completion", "what shells complete, and the manual's page", run, completion_options,
                                 "of"};

} // namespace evictlab::cli
