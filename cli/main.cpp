// evictlab: finds the command, runs it, and turns what goes wrong into one message and an exit code.
// SPDX-License-Identifier: MIT
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <exception>
#include <iostream>
#include <new>

#include "base/error.hpp"
#include "base/text/suggestion.hpp"
#include "cli/command.hpp"
#include "cli/interrupt.hpp"
#include "cli/outcome.hpp"
#include "cli/version.hpp"

namespace {

using namespace evictlab;

void print_help(std::ostream& out) {
    out << "evictlab measures, evolves and ships KV-cache eviction scorers.\n\nUsage: evictlab COMMAND [OPTION...]\n\n"
           "Commands:\n";
    for (const cli::Command& command : cli::commands()) {
        std::string name(command.name);
        name.resize(std::max<std::size_t>(name.size(), 12), ' ');
        out << "  " << name << command.summary << '\n';
    }
    out << "\n`evictlab help COMMAND` shows a command's options and examples,\n`evictlab --version` the version.\n";
}

const cli::Command& command_named(const std::string& name) {
    const auto all = cli::commands();
    const auto command = std::ranges::find(all, name, &cli::Command::name);
    if (command != all.end()) return *command;
    std::vector<std::string> names;
    for (const cli::Command& each : all) names.emplace_back(each.name);
    for (const char* of_plugins : {"describe", "columns", "new", "list"})
        if (name == of_plugins)
            throw UsageError(fmt::format("unknown command '{0}'; did you mean 'plugins {0}'?", name));
    throw UsageError(
        fmt::format("unknown command '{}'{}; see evictlab --help", name, text::what_there_is(name, names, "command")));
}

/// `evictlab help COMMAND...` as `evictlab COMMAND... --help`.
int help(std::vector<std::string> about) {
    if (about.empty() || about.front() == "help" || about.front().starts_with('-')) {
        print_help(std::cout);
        return cli::exit_ok;
    }
    const cli::Command& command = command_named(about.front());
    about.erase(about.begin());
    about.emplace_back("--help");
    return command.run(about);
}

int run(const std::vector<std::string>& arguments) {
    if (arguments.empty()) {
        print_help(std::cerr);
        return cli::exit_usage;
    }
    const std::string& name = arguments.front();
    std::vector<std::string> rest(arguments.begin() + 1, arguments.end());
    if (name == "--help" || name == "-h") return help({});
    if (name == "help") return help(std::move(rest));
    if (name == "--version" || name == "-V") {
        std::cout << "evictlab " << cli::version << '\n';
        return cli::exit_ok;
    }
    return command_named(name).run(rest);
}

/// What no other place catches: above all memory that was missing before main() began.
[[noreturn]] void end_by_terminate() {
    const auto tell = [](std::string_view what) { (void)!::write(STDERR_FILENO, what.data(), what.size()); };
    tell("evictlab: ");
    try {
        if (std::current_exception()) throw;
        tell("an error that nobody could catch");
    } catch (const std::bad_alloc&) {
        tell("out of memory: the program was given too little to start or to go on (see `ulimit -v`)");
    } catch (const std::exception& error) {
        tell(error.what());
    } catch (...) {
        tell("an error of an unknown kind");
    }
    tell("\n");
    _exit(cli::exit_failure);
}

void before_all_libraries() { std::set_terminate(end_by_terminate); }
__attribute__((section(".preinit_array"), used)) void (*const install_terminate)() = before_all_libraries;

} // namespace

int main(int argc, char** argv) {
    cli::install_signal_handlers();
    return cli::outcome("evictlab", "try fewer --patterns or a smaller --population", [&] {
        return run({argv + 1, argv + argc});
    });
}
