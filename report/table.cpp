// SPDX-License-Identifier: MIT
#include "report/table.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <stdexcept>
#include <utility>

namespace evictlab::report {
namespace {

struct CodePoint {
    char32_t value;
    std::size_t bytes; ///< 0: not UTF-8 here
};

/// The code point at the front of a text that is not empty; overlong forms, surrogates and cut sequences are refused.
CodePoint decode(std::string_view text) {
    const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
    const unsigned char lead = byte(0);
    if (lead < 0x80) return {lead, 1};
    const std::size_t length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
    if (lead < 0xC2 || lead > 0xF4 || text.size() < length) return {0, 0};
    char32_t value = lead & (0xFFu >> (length + 1));
    for (std::size_t i = 1; i < length; ++i) {
        if ((byte(i) & 0xC0) != 0x80) return {0, 0};
        value = value << 6 | (byte(i) & 0x3Fu);
    }
    constexpr std::array<char32_t, 5> smallest{0, 0, 0x80, 0x800, 0x10000};
    const bool surrogate = value >= 0xD800 && value <= 0xDFFF;
    if (value < smallest[length] || surrogate || value > 0x10FFFF) return {0, 0};
    return {value, length};
}

template <std::size_t N>
bool within(char32_t value, const std::array<std::pair<char32_t, char32_t>, N>& ranges) {
    return std::any_of(ranges.begin(), ranges.end(),
                       [&](const auto& range) { return value >= range.first && value <= range.second; });
}

std::size_t width_of(char32_t value) {
    static constexpr std::array<std::pair<char32_t, char32_t>, 4> combining{
        {{0x300, 0x36F}, {0x200B, 0x200F}, {0x20D0, 0x20FF}, {0xFE00, 0xFE0F}}};
    static constexpr std::array<std::pair<char32_t, char32_t>, 9> wide{{{0x1100, 0x115F},
                                                                        {0x2E80, 0xA4CF},
                                                                        {0xAC00, 0xD7A3},
                                                                        {0xF900, 0xFAFF},
                                                                        {0xFE30, 0xFE6F},
                                                                        {0xFF00, 0xFF60},
                                                                        {0xFFE0, 0xFFE6},
                                                                        {0x1F300, 0x1FAFF},
                                                                        {0x20000, 0x3FFFD}}};
    if (within(value, combining)) return 0;
    return within(value, wide) ? 2 : 1;
}

std::string aligned(const std::string& cell, std::size_t width, CellKind kind) {
    const std::string blanks(width - std::min(width, display_width(cell)), ' ');
    return kind == CellKind::number ? blanks + cell : cell + blanks;
}

std::string markdown_text(std::string_view text) {
    std::string out;
    for (const char c : printable(text)) {
        if (c == '|' || c == '*' || c == '_' || c == '<' || c == '`' || c == '\\') out += '\\';
        out += c;
    }
    return out;
}

std::string csv_cell(const std::string& cell) {
    if (cell.find_first_of(",\"\r\n") == std::string::npos) return cell;
    std::string out = "\"";
    for (const char c : cell) {
        if (c == '"') out += '"';
        out += c;
    }
    return out + '"';
}

} // namespace

std::string printable(std::string_view text) {
    std::string out;
    while (!text.empty()) {
        const CodePoint point = decode(text);
        if (point.bytes == 0) {
            out += "\xEF\xBF\xBD";
            text.remove_prefix(1);
            continue;
        }
        const bool control = point.value < 0x20 || (point.value >= 0x7F && point.value < 0xA0);
        if (control) {
            out += ' ';
        } else {
            out += text.substr(0, point.bytes);
        }
        text.remove_prefix(point.bytes);
    }
    return out;
}

std::size_t display_width(std::string_view text) {
    std::size_t width = 0;
    while (!text.empty()) {
        const CodePoint point = decode(text);
        width += point.bytes == 0 ? 1 : width_of(point.value);
        text.remove_prefix(std::max<std::size_t>(1, point.bytes));
    }
    return width;
}

std::string markdown_code(std::string_view text) {
    std::string body;
    std::size_t ticks = 0, longest = 0;
    for (const char c : printable(text)) {
        ticks = c == '`' ? ticks + 1 : 0;
        longest = std::max(longest, ticks);
        if (c == '|') body += '\\';
        body += c;
    }
    if (body.empty()) return "";
    const std::string fence(longest + 1, '`');
    return longest == 0 ? fence + body + fence : fence + " " + body + " " + fence;
}

Table::Table(std::vector<TableColumn> columns) : columns_(std::move(columns)) {}

void Table::add(std::vector<std::string> cells) {
    if (cells.size() != columns_.size()) throw std::invalid_argument("a table's row needs one cell a column");
    rows_.push_back(std::move(cells));
}

std::string Table::text() const {
    std::vector<std::vector<std::string>> lines(1);
    for (const auto& column : columns_) lines[0].push_back(printable(column.title));
    for (const auto& row : rows_) {
        auto& line = lines.emplace_back();
        for (const auto& cell : row) line.push_back(printable(cell));
    }
    std::string out;
    std::vector<std::size_t> widths(columns_.size(), 0);
    for (const auto& line : lines)
        for (std::size_t i = 0; i < line.size(); ++i) widths[i] = std::max(widths[i], display_width(line[i]));
    for (const auto& line : lines) {
        std::string text;
        for (std::size_t i = 0; i < line.size(); ++i)
            text.append(i > 0 ? "  " : "").append(aligned(line[i], widths[i], columns_[i].kind));
        text.erase(text.find_last_not_of(' ') + 1);
        out += text + '\n';
    }
    return out;
}

std::string Table::markdown() const {
    std::string out = "|", rule = "|";
    for (const auto& column : columns_) {
        out.append(" ").append(markdown_text(column.title)).append(" |");
        rule += column.kind == CellKind::number ? " ---: |" : " --- |";
    }
    out += '\n' + rule + '\n';
    for (const auto& row : rows_) {
        out += '|';
        for (std::size_t i = 0; i < row.size(); ++i) {
            const bool code = columns_[i].kind == CellKind::code;
            out.append(" ").append(code ? markdown_code(row[i]) : markdown_text(row[i])).append(" |");
        }
        out += '\n';
    }
    return out;
}

std::string Table::csv() const {
    std::string out;
    for (std::size_t i = 0; i < columns_.size(); ++i) out.append(i > 0 ? "," : "").append(csv_cell(columns_[i].title));
    out += '\n';
    for (const auto& row : rows_) {
        for (std::size_t i = 0; i < row.size(); ++i) out.append(i > 0 ? "," : "").append(csv_cell(row[i]));
        out += '\n';
    }
    return out;
}

} // namespace evictlab::report
