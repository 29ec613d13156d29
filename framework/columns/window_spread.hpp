// Columns over all queries of a window and all query heads of a KV head.
// SPDX-License-Identifier: MIT
#pragma once
#include <string_view>
#include <vector>

#include "framework/columns/states.hpp"
#include "framework/columns/window.hpp"

namespace evictlab::columns {

/// The rows of each query head in a window, and a value a token from them all.
class WindowSpread final : public Copyable<WindowSpread> {
public:
    /// The value of one token; `rows[r][token]` is its attention in one row, of which the `queries` of one query head
    /// follow one another.
    using Rule = double (*)(const std::vector<const double*>& rows, std::size_t queries, std::size_t token);
    WindowSpread(std::size_t window, std::size_t tokens, Rule rule) : window_(window), capacity_(tokens), rule_(rule) {}
    void update(const RowContext& row) override;
    const double* values() override;
    void keep(std::span<const std::uint32_t> slots) override;

private:
    std::size_t window_, capacity_;
    Rule rule_;
    std::vector<WindowRows> heads_; ///< [query head of the group], made at the first row
    std::size_t tokens_ = 0;
    bool fresh_ = false;
    std::vector<double> values_;
};

/// `NAME:W`, the window alone.
std::size_t window_argument(std::string_view column, std::string_view arguments);

} // namespace evictlab::columns
