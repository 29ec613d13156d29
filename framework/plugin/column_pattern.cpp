// SPDX-License-Identifier: MIT
#include "framework/plugin/column_pattern.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace evictlab {

namespace {

constexpr auto npos = std::string_view::npos;

double value_of(std::string_view key, std::string_view pattern, std::span<const Parameter> parameters,
                std::span<const double> values) {
    const auto at = std::ranges::find(parameters, key, &Parameter::key);
    if (at == parameters.end())
        throw Error(fmt::format("column '{}' names the parameter '{}', which the plugin does not have", pattern, key));
    return values[static_cast<std::size_t>(at - parameters.begin())];
}

} // namespace

std::string fill_column_pattern(std::string_view pattern, std::span<const Parameter> parameters,
                                std::span<const double> values) {
    std::string name;
    for (std::string_view rest = pattern; !rest.empty();) {
        const auto open = rest.find('{');
        name += rest.substr(0, open);
        if (open == npos) break;
        const auto close = rest.find('}', open);
        if (close == npos) throw Error(fmt::format("column '{}': a '{{' has no '}}'", pattern));
        const auto inside = rest.substr(open + 1, close - open - 1);
        const auto question = inside.find('?'), bar = inside.find('|');
        const double value = value_of(inside.substr(0, question), pattern, parameters, values);
        if (question == npos)
            name += fmt::format("{}", value); // the shortest text; whole numbers without a point
        else if (bar == npos || bar < question)
            throw Error(fmt::format("column '{}': '{{{}}}' is not {{parameter?A|B}}", pattern, inside));
        else
            name += value != 0 ? inside.substr(question + 1, bar - question - 1) : inside.substr(bar + 1);
        rest.remove_prefix(close + 1);
    }
    return name;
}

} // namespace evictlab
