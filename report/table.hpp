// A table of text cells and its three renderings: aligned for a terminal, Markdown for GitHub, CSV.
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
};

/// Cells are UTF-8; what is not is shown as U+FFFD, and control characters as blanks (but for CSV, which keeps all).
class Table {
public:
    explicit Table(std::vector<TableColumn> columns);
    /// One cell a column; throws std::invalid_argument for another number of them.
    void add(std::vector<std::string> cells);

    std::string text() const;
    /// GitHub's tables: '|' is escaped, in code spans too.
    std::string markdown() const;
    /// RFC 4180, but for line ends of LF alone.
    std::string csv() const;

private:
    std::vector<TableColumn> columns_;
    std::vector<std::vector<std::string>> rows_;
};

/// Columns of a terminal that the text takes: 0 for combining marks, 2 for wide characters.
std::size_t display_width(std::string_view text);
/// The text as a Markdown code span that is safe inside a table.
std::string markdown_code(std::string_view text);
/// Valid UTF-8 of one line, without control characters.
std::string printable(std::string_view text);

} // namespace evictlab::report
