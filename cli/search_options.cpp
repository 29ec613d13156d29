// SPDX-License-Identifier: MIT
#include "cli/search_options.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/option_error.hpp"

namespace evictlab::cli {

using evolution::OptionNeeds;
using evolution::SearchOption;

std::string flag_of(std::string_view option) {
    std::string flag(option);
    std::ranges::replace(flag, '_', '-');
    return flag;
}

void add_search_options(po::options_description& options, OptionNeeds needs) {
    for (const SearchOption& option : evolution::search_options()) {
        if (option.needs != needs || option.help.empty()) continue;
        options.add_options()(flag_of(option.key).c_str(),
                              po::value<std::string>()->value_name(std::string(option.value)),
                              fmt::format("{} ({})", option.help, usual_text(option)).c_str());
    }
}

void read_search_options(const po::variables_map& values, evolution::RunConfig& config, OptionNeeds needs) {
    for (const SearchOption& option : evolution::search_options()) {
        const std::string flag = flag_of(option.key);
        if (option.needs != needs || !values.contains(flag)) continue;
        set_option(config, option, values[flag].as<std::string>());
        if (const std::string why = out_of_range(config, option); !why.empty()) throw OptionError(flag, why);
    }
}

std::string search_options_text(const po::variables_map& values, OptionNeeds needs) {
    std::string text;
    for (const SearchOption& option : evolution::search_options())
        if (const std::string flag = flag_of(option.key); option.needs == needs && values.contains(flag))
            text += fmt::format(" --{} {}", flag, values[flag].as<std::string>());
    return text;
}

} // namespace evictlab::cli
