// SPDX-License-Identifier: MIT
#include "framework/columns/latest_queries.hpp"

#include <algorithm>

#include "base/numeric/sums.hpp"
#include "framework/attention/matmul.hpp"

namespace evictlab::columns {

LatestQueries::LatestQueries(const RowContext& row, std::size_t window)
    : row_(row), count_(std::min(window, row.tensors->queries)), first_(row.tensors->queries - count_),
      stride_(padded_columns(row.tokens)), keys_(row.tensors->dim * stride_) {
    const HeadTensors& t = *row.tensors;
    transpose(t.k, t.dim, row.tokens, t.dim, keys_.data(), stride_);
}

float* LatestQueries::products(std::size_t head) {
    const HeadTensors& t = *row_.tensors;
    products_.resize(count_ * stride_);
    matmul(t.query(head, first_), t.dim, keys_.data(), stride_, products_.data(), stride_, count_, t.dim, stride_);
    return products_.data();
}

void LatestQueries::exact_products(std::size_t head, std::size_t query, double* out) const {
    const HeadTensors& t = *row_.tensors;
    numeric::products(keys_.data(), stride_, t.dim, t.query(head, first_ + query), row_.tokens, out);
}

LatestQueries::Slots LatestQueries::seen_by(std::size_t query) const {
    const std::size_t position = first_ + query, window = row_.sliding_window;
    const std::size_t oldest = window == 0 || position < window ? 0 : position + 1 - window;
    return {slot_of(oldest), slot_of(position + 1)};
}

std::size_t LatestQueries::slot_of(std::size_t position) const {
    const double* const end = row_.position + row_.tokens;
    return static_cast<std::size_t>(std::lower_bound(row_.position, end, static_cast<double>(position)) -
                                    row_.position);
}

} // namespace evictlab::columns
