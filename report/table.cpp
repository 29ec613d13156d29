// SPDX-License-Identifier: MIT
#include "report/table.hpp"

#include <algorithm>
#include <optional>
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

constexpr std::size_t between = 2; // blanks between columns
// Down to which a code cell is shortened, before columns go that one reads a table for, and when they have gone.
constexpr std::size_t short_code_cell = 24, shortest_code_cell = 16;

std::vector<std::size_t> widths_of(const std::vector<std::vector<std::string>>& lines) {
    std::vector<std::size_t> widths(lines.front().size(), 0);
    for (const auto& line : lines)
        for (std::size_t i = 0; i < line.size(); ++i) widths[i] = std::max(widths[i], text::width(line[i]));
    return widths;
}

std::size_t total_width(const std::vector<std::size_t>& widths, const std::vector<bool>& shown) {
    std::size_t total = 0;
    for (std::size_t i = 0; i < widths.size(); ++i)
        if (shown[i]) total += widths[i] + (total > 0 ? between : 0);
    return total;
}

/// The column that goes first; none where all that are left stay.
std::optional<std::size_t> next_to_go(const std::vector<TableColumn>& columns, const std::vector<bool>& shown,
                                      int from) {
    std::optional<std::size_t> least;
    for (std::size_t i = 0; i < columns.size(); ++i)
        if (shown[i] && columns[i].spare >= from && (!least || columns[i].spare >= columns[*least].spare)) least = i;
    return least;
}

std::string_view escape_of(RowTone tone) {
    if (tone == RowTone::quiet) return "\033[2m";
    return tone == RowTone::best ? "\033[32m" : "";
}

} // namespace

Table::Table(std::vector<TableColumn> columns) : columns_(std::move(columns)) {}

void Table::add(Cells cells, RowTone tone) {
    if (cells.size() != columns_.size()) throw std::invalid_argument("a table's row needs one cell a column");
    rows_.push_back(std::move(cells));
    tones_.push_back(tone);
}

std::vector<Table::Cells> Table::shown_cells() const {
    std::vector<Cells> lines(1);
    for (const auto& column : columns_) lines[0].push_back(text::line(column.title));
    for (const auto& row : rows_) {
        auto& line = lines.emplace_back();
        for (const auto& cell : row) line.push_back(text::line(cell));
    }
    return lines;
}

std::string Table::aligned_text(const std::vector<Cells>& lines, const std::vector<bool>& shown, bool colour) const {
    const std::vector<std::size_t> widths = widths_of(lines);
    std::string out;
    for (std::size_t l = 0; l < lines.size(); ++l) {
        std::string text;
        for (std::size_t i = 0; i < columns_.size(); ++i)
            if (shown[i])
                text.append(text.empty() ? 0 : between, ' ').append(aligned(lines[l][i], widths[i], columns_[i].kind));
        text.erase(text.find_last_not_of(' ') + 1);
        const std::string_view escape = !colour ? "" : l == 0 ? "\033[1m" : escape_of(tones_[l - 1]);
        out.append(escape).append(text).append(escape.empty() ? "\n" : "\033[0m\n");
    }
    return out;
}

std::string Table::text() const { return aligned_text(shown_cells(), std::vector<bool>(columns_.size(), true), false); }

FittedTable Table::fitted(std::size_t width, bool colour) const {
    FittedTable out;
    const std::vector<Cells> whole = shown_cells();
    std::vector<Cells> lines = whole;
    std::vector<bool> shown(columns_.size(), true);
    std::vector<std::size_t> widths = widths_of(lines);
    const auto excess = [&] {
        const std::size_t total = total_width(widths, shown);
        return total - std::min(total, width);
    };
    const auto leave_out_from = [&](int spare) {
        while (excess() > 0) {
            const auto column = next_to_go(columns_, shown, spare);
            if (!column) return;
            shown[*column] = false;
            out.left_out.push_back(lines[0][*column]);
        }
    };
    const auto shorten_to = [&](std::size_t least) {
        for (std::size_t i = 0; i < columns_.size() && excess() > 0; ++i) {
            if (columns_[i].kind != CellKind::code || !shown[i]) continue;
            const std::size_t most = std::max(least, widths[i] - std::min(widths[i], excess()));
            for (std::size_t l = 1; l < lines.size(); ++l)
                if (text::width(whole[l][i]) > most) lines[l][i] = text::line(whole[l][i], most);
            widths = widths_of(lines);
        }
    };
    leave_out_from(spare_at_once);
    shorten_to(short_code_cell);
    leave_out_from(1);
    shorten_to(shortest_code_cell);
    for (std::size_t l = 1; l < lines.size(); ++l)
        for (std::size_t i = 0; i < columns_.size(); ++i)
            if (lines[l][i] != whole[l][i]) out.shortened.push_back(whole[l][i]);
    out.text = aligned_text(lines, shown, colour);
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
