// SPDX-License-Identifier: MIT
#include "cli/column_options.hpp"

#include <fmt/format.h>

#include <array>

#include "base/option_error.hpp"
#include "base/text/quoting.hpp"
#include "export/targets.hpp"

namespace evictlab::cli {
namespace {

constexpr std::array option_names{"columns", "without", "exportable"};

std::vector<std::string> list_from(const po::variables_map& values, const char* option) {
    std::vector<std::string> names;
    if (!values.contains(option)) return names;
    const std::string& list = values[option].as<std::string>();
    for (std::size_t begin = 0; begin <= list.size();) {
        const std::size_t end = std::min(list.find(',', begin), list.size());
        names.push_back(list.substr(begin, end - begin));
        if (names.back().empty())
            throw OptionError(option, fmt::format("is '{}', which names nothing between two commas", list));
        begin = end + 1;
    }
    return names;
}

} // namespace

void add_column_options(po::options_description& options) {
    const auto list = [] { return po::value<std::string>()->value_name("LIST"); };
    options.add_options()("columns", list(),
                          "all that formulas may read, as position,window_attn:64 (see evictlab plugins columns)")(
        "without", list(), "columns that formulas may not read, as token_type, nor any that is derived of them")(
        "exportable", list(),
        fmt::format("only columns that can go to these, as kvpress,engine; of {}", exporting::target_names(false))
            .c_str());
}

std::string column_options_text(const po::variables_map& values) {
    std::string text;
    for (const char* option : option_names)
        if (values.contains(option))
            text += fmt::format(" --{} {}", option, text::shell_quoted(values[option].as<std::string>()));
    return text;
}

void read_columns(const po::variables_map& values, const evolution::SearchSuites& search,
                  evolution::RunConfig& config) {
    evolution::ColumnChoice choice{list_from(values, "columns"), list_from(values, "without")};
    std::vector<const exporting::Target*> targets;
    for (const std::string& name : list_from(values, "exportable")) targets.push_back(&exporting::find_target(name));
    if (!targets.empty())
        choice.refused = [&targets](ColumnId column) {
            for (const exporting::Target* target : targets)
                if (std::string why = refusal(*target, column); !why.empty())
                    return fmt::format("{}: {}", target->name, why);
            return std::string();
        };
    if (choice.any())
        choose_columns(search, choice, config);
    else if (!config.columns_only)
        config.columns = search.columns();
}

} // namespace evictlab::cli
