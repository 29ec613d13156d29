// A table of text cells and its renderings: aligned, the same within a terminal's width, Markdown for GitHub, CSV.
// SPDX-License-Identifier: MIT
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace evictlab::report {

enum class CellKind : std::uint8_t {
    text,   ///< aligned to the left
    number, ///< aligned to the right
    code,   ///< aligned to the left; a code span in Markdown, so that * _ @ < stay what they are
};

struct TableColumn {
    std::string title;
    CellKind kind = CellKind::text;
    /// Where a terminal is too narrow, columns go whose number is highest, the last of equal ones first; 0 always
    /// stays. Those from spare_at_once go before code cells are shortened, the others when they are short.
    int spare = 0;
};
inline constexpr int spare_at_once = 3;

enum class RowTone : std::uint8_t {
    plain,
    quiet, ///< a yardstick that is no rival
    best,
};

struct FittedTable {
    std::string text;
    std::vector<std::string> left_out;  ///< titles of the columns that had no room
    std::vector<std::string> shortened; ///< whole texts of the cells that end in "..."
};

/// Cells are any text; what a reader of the rendering would obey or not see stands there escaped (text/shown.hpp).
class Table {
public:
    explicit Table(std::vector<TableColumn> columns);
    /// One cell a column; throws std::invalid_argument for another number of them.
    void add(std::vector<std::string> cells, RowTone tone = RowTone::plain);

    std::string text() const;
    /// text() in at most `width` columns of a terminal, as far as that goes: fewer columns, then shorter code cells,
    /// and never a broken row. `colour`: tones and the head by ANSI's escapes.
    FittedTable fitted(std::size_t width, bool colour) const;
    /// GitHub's tables: '|' is escaped, in code spans too.
    std::string markdown() const;
    /// RFC 4180, but for line ends of LF alone.
    std::string csv() const;

private:
    using Cells = std::vector<std::string>;
    std::vector<Cells> shown_cells() const;
    std::string aligned_text(const std::vector<Cells>& lines, const std::vector<bool>& shown, bool colour) const;

    std::vector<TableColumn> columns_;
    std::vector<Cells> rows_;
    std::vector<RowTone> tones_; ///< of rows_
};

} // namespace evictlab::report
