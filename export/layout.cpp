// Breaking expressions into lines. SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include "export/expression.hpp"

namespace evictlab::exporting {
namespace {

constexpr std::size_t width = 120, step = 4;

bool is_call(const Layout& layout) { return layout.tie == Tie::atom && !layout.parts.empty(); }

std::string flat(const Layout& layout) {
    std::string text = layout.open;
    for (std::size_t i = 0; i < layout.parts.size(); ++i) {
        if (i > 0) text += is_call(layout) ? ", " : " ";
        text += layout.parts[i].sign + flat(layout.parts[i]);
    }
    return text + layout.close;
}

} // namespace

Layout call(std::string_view function, std::vector<Layout> arguments) {
    Layout layout(fmt::format("{}(", function));
    layout.close = ")";
    layout.parts = std::move(arguments);
    return layout;
}

Layout infix(Tie tie, Layout a, std::string_view sign, Layout b) {
    Layout layout("", tie);
    if (a.tie == tie && a.open.empty())
        layout.parts = std::move(a.parts);
    else
        layout.parts.push_back(std::move(a));
    layout.parts.push_back(std::move(b));
    layout.parts.back().sign = fmt::format("{} ", sign);
    return layout;
}

Layout parenthesised(Layout layout) {
    std::vector<Layout> only;
    only.push_back(std::move(layout)); // moved: a list of initialisers would copy the whole expression
    return call("", std::move(only));
}

Layout at_least(Tie tie, Layout layout) {
    if (layout.tie < tie) return parenthesised(std::move(layout));
    return layout;
}

std::string write(const Layout& layout, std::size_t start, std::size_t indent, Commas commas) {
    const std::string whole = flat(layout);
    if (layout.parts.empty() || start + whole.size() + 1 <= width) return whole; // a comma or semicolon follows
    const bool arguments = is_call(layout);
    const std::size_t inner = arguments ? indent + step : indent;
    const std::string line = fmt::format("\n{:{}}", "", inner);
    std::string text = layout.open;
    for (std::size_t i = 0; i < layout.parts.size(); ++i) {
        const Layout& part = layout.parts[i];
        if (arguments || i > 0) text += line;
        const std::size_t begin = (arguments || i > 0 ? inner : start + layout.open.size()) + part.sign.size();
        text += part.sign + write(part, begin, inner, commas);
        // Parentheses alone would become a tuple.
        const bool trailing = commas == Commas::trailing && layout.open != "(";
        if (arguments && (trailing || i + 1 < layout.parts.size())) text += ",";
    }
    if (arguments) text += fmt::format("\n{:{}}", "", indent);
    return text + layout.close;
}

} // namespace evictlab::exporting
