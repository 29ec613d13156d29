// SPDX-License-Identifier: MIT
#include "framework/columns/window_spread.hpp"

#include <string>

#include "framework/columns/arguments.hpp"

namespace evictlab::columns {

void WindowSpread::update(const RowContext& row) {
    const bool by_query_head = row.query_attention != nullptr;
    const std::size_t heads = by_query_head ? row.group : 1;
    if (heads_.empty()) heads_.assign(heads, WindowRows(window_, capacity_));
    for (std::size_t h = 0; h < heads; ++h)
        heads_[h].add(by_query_head ? row.query_attention + h * row.query_stride : row.attention, row.tokens,
                      row.query);
    tokens_ = row.tokens;
    fresh_ = false;
}

const double* WindowSpread::values() {
    if (fresh_) return values_.data();
    values_.resize(padded(capacity_));
    std::vector<const double*> rows;
    for (const WindowRows& head : heads_)
        for (std::size_t r = 0; r < head.rows(); ++r) rows.push_back(head.row(r));
    for (std::size_t i = 0; i < tokens_; ++i) values_[i] = rule_(rows, heads_.front().rows(), i);
    fresh_ = true;
    return values_.data();
}

void WindowSpread::keep(std::span<const std::uint32_t> slots) {
    for (WindowRows& head : heads_) head.keep(slots);
}

std::size_t window_argument(std::string_view column, std::string_view arguments) {
    Arguments parts(column, arguments);
    const std::size_t window = parts.number("the window", usual_window, 1, longest_window);
    parts.end(std::string(column) + ":64");
    return window;
}

} // namespace evictlab::columns
