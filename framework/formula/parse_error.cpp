// What a parse error looks like: the place, the cause, the line and a caret under it. A line of any length or content
// is shown as at most a screen's width around the place.
// SPDX-License-Identifier: MIT
#include <algorithm>

#include "base/text/shown.hpp"
#include "framework/formula/formula.hpp"

namespace evictlab::formula {
namespace {

constexpr std::size_t shown_before = 60;
constexpr std::size_t shown_after = 30;

bool continues_character(char c) { return (static_cast<unsigned char>(c) & 0xc0) == 0x80; } // of UTF-8

std::string describe(std::string_view text, std::size_t offset, const std::string& what) {
    offset = std::min(offset, text.size());
    const std::string_view before = text.substr(0, offset);
    const std::size_t line = 1 + static_cast<std::size_t>(std::count(before.begin(), before.end(), '\n'));
    const std::size_t line_begin = before.rfind('\n') + 1; // npos + 1 is 0
    const std::size_t line_end = std::min(text.find('\n', offset), text.size());
    const auto characters = [&](std::size_t begin) {
        const std::string_view range = text.substr(begin, offset - begin);
        return range.size() - static_cast<std::size_t>(std::count_if(range.begin(), range.end(), continues_character));
    };

    std::size_t begin = offset - line_begin > shown_before ? offset - shown_before : line_begin;
    std::size_t end = std::min(line_end, offset + shown_after);
    while (begin < offset && continues_character(text[begin])) ++begin;
    while (end > offset && end < line_end && continues_character(text[end])) --end;
    const std::string ahead = begin > line_begin ? "..." : "";
    const std::string behind = end < line_end ? "..." : "";
    const std::string shown = text::lines(text.substr(begin, offset - begin));
    return "formula, line " + std::to_string(line) + ", column " + std::to_string(characters(line_begin) + 1) + ": " +
           what + "\n    " + ahead + shown + text::lines(text.substr(offset, end - offset)) + behind + "\n    " +
           std::string(ahead.size() + text::width(shown), ' ') + "^";
}

} // namespace

ParseError::ParseError(std::string_view text, std::size_t where, const std::string& what)
    : UsageError(describe(text, where, what)), offset(where) {}

} // namespace evictlab::formula
