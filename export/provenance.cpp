// The provenance as comments, and the file of a formula. SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include <algorithm>

#include "base/text/shown.hpp"
#include "export/exports.hpp"

namespace evictlab::exporting {
namespace {

/// One line that C++ does not continue, and in which nothing stands the other way round than it reads.
std::string harmless(const std::string& raw) {
    std::string text = raw;
    std::ranges::replace_if(
        text, [](char c) { return c >= '\t' && c <= '\r'; }, ' ');
    text = text::line(text);
    while (!text.empty() && (text.back() == ' ' || text.back() == '\\')) text.pop_back();
    return text;
}

} // namespace

std::string provenance_comment(const Champion& champion, std::string_view version, std::string_view sign) {
    std::string comment = fmt::format("{}{}, exported by evictlab {}\n", sign, champion.name, version);
    for (const std::string& line : champion.provenance) comment += fmt::format("{}{}\n", sign, harmless(line));
    return comment;
}

std::string licence_line(const Champion& champion, bool formula_alone, std::string_view sign) {
    const std::string own = harmless(champion.licence);
    const bool alone = formula_alone || own == "MIT";
    return fmt::format("{}SPDX-License-Identifier: {}\n", sign, alone ? own : fmt::format("MIT AND ({})", own));
}

std::string formula_file(const Champion& champion, std::string_view version) {
    return provenance_comment(champion, version, "# ") + licence_line(champion, true, "# ") +
           formula::print(champion.formula) + "\n";
}

} // namespace evictlab::exporting
