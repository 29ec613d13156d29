// What people type, by Boost.Program_options: the one account of what does not fit. SPDX-License-Identifier: MIT
#include <unistd.h>

#include <algorithm>
#include <iostream>
#include <optional>

#include "base/error.hpp"
#include "base/text/suggestion.hpp"
#include "cli/command.hpp"
#include "cli/terminal.hpp"

namespace evictlab::cli {

/// Boost puts texts into its message until none of its placeholders is left: one that holds %value%, or the like, never
/// ends.
constexpr const char* percent_hides =
    "an option is unknown or its value is wrong; which one is not shown, because an argument has a '%'; see --help";

namespace {

/// "; did you mean '--suite'? See --help", or the latter alone.
std::string meant_by(const po::unknown_option& unknown, const po::options_description& options) {
    std::vector<std::string> names;
    for (const auto& option : options.options()) names.push_back("--" + option->long_name());
    const std::string typed = unknown.get_option_name();
    const std::string* meant = text::probably_meant(typed.substr(0, typed.find('=')), names);
    return meant ? "; did you mean '" + *meant + "'? See --help" : "; see --help";
}

} // namespace

std::optional<po::variables_map> parse_options(const std::vector<std::string>& arguments,
                                               const po::options_description& options, const char* positional,
                                               std::string_view usage, std::string_view examples) {
    po::options_description visible(options);
    visible.add_options()("help,h", "show this text");
    po::options_description all(visible);
    po::positional_options_description places;
    if (*positional) {
        all.add_options()(positional, po::value<std::vector<std::string>>()->default_value({}, ""), "");
        places.add(positional, -1);
    }
    po::variables_map values;
    try {
        constexpr int style = po::command_line_style::default_style & ~po::command_line_style::allow_guessing;
        po::store(po::command_line_parser(arguments).options(all).positional(places).style(style).run(), values);
        if (values.contains("help")) {
            const auto width = terminal_width(STDOUT_FILENO);
            std::cout << (width ? refilled(usage, *width) : std::string(usage) + '\n') << '\n'
                      << visible << "\nExamples:\n"
                      << examples;
            return std::nullopt;
        }
        po::notify(values);
    } catch (const po::too_many_positional_options_error&) {
        throw UsageError("this command takes no arguments other than options; see --help");
    } catch (const po::error& wrong) {
        if (std::ranges::any_of(arguments, [](const std::string& word) { return word.find('%') != word.npos; }))
            throw UsageError(percent_hides);
        if (const auto* unknown = dynamic_cast<const po::unknown_option*>(&wrong))
            throw UsageError(std::string(wrong.what()) + meant_by(*unknown, visible));
        throw UsageError(std::string(wrong.what()) + "; see --help");
    }
    return values;
}

} // namespace evictlab::cli
