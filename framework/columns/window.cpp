// SPDX-License-Identifier: MIT
#include "framework/columns/window.hpp"

#include <algorithm>

#include "base/numeric/sums.hpp"
#include "framework/columns/states.hpp"

namespace evictlab::columns {

WindowRows::WindowRows(std::size_t window, std::size_t tokens)
    : window_(window), stride_(padded(tokens)), sums_(stride_), ring_(window * stride_) {}

void WindowRows::add(const double* row, std::size_t tokens, std::size_t query) {
    numeric::slide(row, tokens, ring_.data() + query % window_ * stride_, sums_.data());
    rows_ = std::min(rows_ + 1, window_);
}

void WindowRows::keep(std::span<const std::uint32_t> slots) {
    keep_slots(sums_, slots);
    for (std::size_t r = 0; r < window_; ++r) keep_slots(std::span(ring_).subspan(r * stride_, stride_), slots);
}

} // namespace evictlab::columns
