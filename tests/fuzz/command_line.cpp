// Fuzz target: the command line. A line of the input is an argument, the first the command's name; its options are
// parsed and read as far as is possible without running it. SPDX-License-Identifier: MIT
#include <algorithm>
#include <iostream>
#include <vector>

#include "base/error.hpp"
#include "cli/command.hpp"
#include "cli/search_options.hpp"
#include "cli/shared_options.hpp"
#include "evolution/setup.hpp"
#include "framework/scorers/scorer.hpp"
#include "tests/fuzz/target.hpp"

using namespace evictlab;

namespace {

using Words = std::vector<std::string>;

Words words_of(std::string_view text) {
    Words words;
    while (!text.empty()) {
        const std::size_t end = std::min(text.find('\n'), text.size());
        const std::string_view word = text.substr(0, end);
        words.emplace_back(word.substr(0, word.find('\0'))); // as the system cuts it
        text.remove_prefix(std::min(text.size(), end + 1));
    }
    return words;
}

bool has(const cli::Command& command, const char* option) {
    return command.options().find_nothrow(option, false) != nullptr;
}

void read_values(const cli::Command& command, const cli::po::variables_map& values) {
    if (has(command, "retention")) cli::retentions_from(values, {});
    if (has(command, "threads")) cli::threads_from(values);
    if (has(command, "suite")) cli::suite_options_text(values);
    if (has(command, "race")) {
        evolution::RunConfig config;
        for (const auto needs : {evolution::OptionNeeds::nobody, evolution::OptionNeeds::judge}) {
            cli::read_search_options(values, config, needs);
            cli::search_options_text(values, needs);
        }
    }
    if (values.contains("scorers"))
        for (const std::string& list : values["scorers"].as<Words>())
            fuzz::require(!split_scorer_list(list).empty(), "a list of scorers has one");
    if (std::string_view(command.positional) == "state") cli::state_argument(values);
}

void read(const Words& words) {
    if (words.empty()) return;
    const auto all = cli::commands();
    const auto command = std::ranges::find(all, words.front(), &cli::Command::name);
    if (command == all.end() || command->options == nullptr) return;
    const auto values = cli::parse_options({words.begin() + 1, words.end()}, command->options(), command->positional,
                                           "usage", "examples");
    if (values) read_values(*command, *values);
}

} // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    std::cout.setstate(std::ios::failbit); // what --help prints
    try {
        read(words_of(fuzz::text_of(data, size)));
    } catch (const UsageError& error) {
        fuzz::require(*error.what() != '\0', "a message says something");
    }
    return 0;
}
