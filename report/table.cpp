// SPDX-License-Identifier: MIT
#include "report/table.hpp"

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "base/text/quoting.hpp"
#include "base/text/shown.hpp"

namespace evictlab::report {
namespace {

std::string aligned(const std::string& cell, std::size_t width, CellKind kind) {
    const std::string blanks(width - std::min(width, text::width(cell)), ' ');
    return kind == CellKind::number ? blanks + cell : cell + blanks;
}

} // namespace

Table::Table(std::vector<TableColumn> columns) : columns_(std::move(columns)) {}

void Table::add(std::vector<std::string> cells) {
    if (cells.size() != columns_.size()) throw std::invalid_argument("a table's row needs one cell a column");
    rows_.push_back(std::move(cells));
}

std::string Table::text() const {
    std::vector<std::vector<std::string>> lines(1);
    for (const auto& column : columns_) lines[0].push_back(text::line(column.title));
    for (const auto& row : rows_) {
        auto& line = lines.emplace_back();
        for (const auto& cell : row) line.push_back(text::line(cell));
    }
    std::string out;
    std::vector<std::size_t> widths(columns_.size(), 0);
    for (const auto& line : lines)
        for (std::size_t i = 0; i < line.size(); ++i) widths[i] = std::max(widths[i], text::width(line[i]));
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
        out.append(" ").append(text::markdown(column.title)).append(" |");
        rule += column.kind == CellKind::number ? " ---: |" : " --- |";
    }
    out += '\n' + rule + '\n';
    for (const auto& row : rows_) {
        out += '|';
        for (std::size_t i = 0; i < row.size(); ++i) {
            const bool code = columns_[i].kind == CellKind::code;
            out.append(" ").append(code ? text::markdown_code(row[i]) : text::markdown(row[i])).append(" |");
        }
        out += '\n';
    }
    return out;
}

std::string Table::csv() const {
    std::string out;
    for (std::size_t i = 0; i < columns_.size(); ++i) out.append(i > 0 ? "," : "").append(text::csv(columns_[i].title));
    out += '\n';
    for (const auto& row : rows_) {
        for (std::size_t i = 0; i < row.size(); ++i) out.append(i > 0 ? "," : "").append(text::csv(row[i]));
        out += '\n';
    }
    return out;
}

} // namespace evictlab::report
