// evictlab: finds the command, runs it, and turns what goes wrong into one message and an exit code.
// SPDX-License-Identifier: MIT
#include <algorithm>
#include <iostream>
#include <new>

#include "cli/command.hpp"
#include "cli/interrupt.hpp"
#include "cli/version.hpp"
#include "framework/error.hpp"
#include "framework/evaluation/scorecard.hpp"

namespace {

using namespace evictlab;

void print_help(std::ostream& out) {
    out << "evictlab measures, evolves and ships KV-cache eviction scorers.\n\nUsage: evictlab COMMAND [OPTION...]\n\n"
           "Commands:\n";
    for (const cli::Command& command : cli::commands()) {
        std::string name(command.name);
        name.resize(std::max<std::size_t>(name.size(), 10), ' ');
        out << "  " << name << command.summary << '\n';
    }
    out << "\n`evictlab COMMAND --help` shows a command's options and examples; `evictlab --version` the version.\n";
}

int run(const std::vector<std::string>& arguments) {
    if (arguments.empty()) {
        print_help(std::cerr);
        return cli::exit_usage;
    }
    const std::string& name = arguments.front();
    if (name == "--help" || name == "-h" || name == "help") {
        print_help(std::cout);
        return cli::exit_ok;
    }
    if (name == "--version") {
        std::cout << "evictlab " << cli::version << '\n';
        return cli::exit_ok;
    }
    const auto all = cli::commands();
    const auto command = std::ranges::find(all, name, &cli::Command::name);
    if (command == all.end()) throw UsageError("unknown command '" + name + "'; see evictlab --help");
    return command->run({arguments.begin() + 1, arguments.end()});
}

} // namespace

int main(int argc, char** argv) {
    cli::install_interrupt_handler();
    try {
        const int code = run({argv + 1, argv + argc});
        std::cout.flush();
        if (!std::cout) throw Error("cannot write to standard output");
        return code;
    } catch (const Interrupted&) {
        std::cerr << "evictlab: stopped\n";
        return cli::exit_interrupted;
    } catch (const UsageError& error) {
        std::cerr << "evictlab: " << error.what() << '\n';
        return cli::exit_usage;
    } catch (const std::bad_alloc&) {
        std::cerr << "evictlab: out of memory; try fewer --patterns or a smaller --population\n";
        return cli::exit_failure;
    } catch (const std::exception& error) {
        std::cerr << "evictlab: " << error.what() << '\n';
        return cli::exit_failure;
    }
}
