// SPDX-License-Identifier: MIT
#include "evolution/column_choice.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/option_error.hpp"

namespace evictlab::evolution {
namespace {

/// "attn_entropy" is rank:attn_entropy, too, and "window_attn" window_attn:64.
bool is_or_reads(ColumnId column, const std::string& named) {
    for (auto read = std::optional(column); read; read = columns::base(*read))
        if (columns::name(*read) == named || columns::info(*read).name == named) return true;
    return false;
}

void check_known(const std::string& option, const std::vector<std::string>& names) {
    for (const std::string& name : names) try {
            if (option == "columns" || !columns::known(name) || name.find(':') != name.npos) columns::intern(name);
        } catch (const UsageError& wrong) {
            throw OptionError(option, fmt::format("names no column: {}", wrong.what()));
        }
}

} // namespace

void choose_columns(const SearchSuites& search, const ColumnChoice& choice, RunConfig& config) {
    check_known("columns", choice.only);
    check_known("without", choice.without);
    config.columns.clear();
    for (const std::string& name : choice.only.empty() ? search.columns() : choice.only) {
        if (!choice.only.empty()) search.check_gives(name);
        const ColumnId id = columns::intern(name);
        if (choice.refused) {
            const std::string why = choice.refused(id);
            if (!why.empty() && !choice.only.empty())
                throw OptionError("columns",
                                  fmt::format("names {}, which cannot go where the champion shall: {}", name, why));
            if (!why.empty()) continue;
        }
        if (std::ranges::any_of(choice.without, [id](const std::string& named) { return is_or_reads(id, named); }))
            continue;
        if (std::ranges::find(config.columns, name) == config.columns.end()) config.columns.push_back(name);
    }
    config.columns_only = true;
    if (std::ranges::none_of(config.columns, [](const std::string& name) {
            return columns::kind(columns::intern(name)) == ColumnKind::token;
        }))
        throw UsageError("the columns that are left are the same for all tokens of a row, so that nothing could be "
                         "ranked by them: let the run read more");
    check_start(config);
}

void check_start(const RunConfig& config) {
    if (const std::string name = not_readable(config.start_formula, config); !name.empty())
        throw OptionError("start", fmt::format("reads the column {}, which this run may not read: begin from another "
                                               "formula, or let the run read it",
                                               name));
}

std::string not_readable(const formula::Formula& formula, const RunConfig& config) {
    if (!config.columns_only) return "";
    for (const formula::Node& node : formula.nodes())
        if (node.op == formula::Op::column)
            if (const std::string& name = columns::name(node.column);
                std::ranges::find(config.columns, name) == config.columns.end())
                return name;
    return "";
}

} // namespace evictlab::evolution
