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

/// Cells are any text; what a reader of the rendering would obey or not see stands there escaped (text/shown.hpp).
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

} // namespace evictlab::report
