// The latest rows of attention, for columns over a window of queries.
// SPDX-License-Identifier: MIT
#pragma once
#include <span>
#include <vector>

#include "framework/columns/column.hpp"

namespace evictlab::columns {

/// A ring of the last `window` rows and their running sum: memory is window x tokens. Tokens that a row did not see
/// have 0 in it.
class WindowRows {
public:
    WindowRows(std::size_t window, std::size_t tokens);
    void add(const double* row, std::size_t tokens, std::size_t query);
    void keep(std::span<const std::uint32_t> slots);
    const double* sums() const { return sums_.data(); }
    std::size_t rows() const { return rows_; } ///< held: at most the window
    const double* row(std::size_t index) const { return ring_.data() + index * stride_; }
    std::size_t window() const { return window_; }

private:
    std::size_t window_, stride_, rows_ = 0;
    std::vector<double> sums_, ring_;
};

/// `window_attn:64` and the like take the window as their first parameter.
inline constexpr std::size_t usual_window = 64, longest_window = 4096;

} // namespace evictlab::columns
