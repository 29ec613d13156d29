// SPDX-License-Identifier: MIT
#include "framework/columns/replayed_attention.hpp"

#include <algorithm>
#include <cmath>

#include "framework/attention/matmul.hpp"
#include "framework/attention/softmax.hpp"

namespace evictlab::columns {
namespace {

/// RoPE in the half-split form, by `positions` more.
void turn(const HeadTensors& t, const float* query, std::size_t positions, float* out) {
    const std::size_t half = t.dim / 2;
    for (std::size_t m = 0; m < half; ++m) {
        const double angle = static_cast<double>(positions) * static_cast<double>(t.rope_inv_freq[m]);
        const double cosine = std::cos(angle), sine = std::sin(angle);
        const auto a = static_cast<double>(query[m]), b = static_cast<double>(query[m + half]);
        out[m] = static_cast<float>(a * cosine - b * sine);
        out[m + half] = static_cast<float>(b * cosine + a * sine);
    }
}

/// The first slot that a query at `position` sees.
std::size_t first_seen(const RowContext& row, std::size_t position) {
    if (row.sliding_window == 0 || position < row.sliding_window) return 0;
    const auto oldest = static_cast<double>(position + 1 - row.sliding_window);
    return static_cast<std::size_t>(std::lower_bound(row.position, row.position + row.tokens, oldest) - row.position);
}

} // namespace

void ReplayedAttention::update(const RowContext& row) {
    const HeadTensors& t = *row.tensors;
    const std::size_t stride = padded_columns(row.tokens);
    AlignedFloats keys(t.dim * stride);
    transpose(t.k, t.dim, row.tokens, t.dim, keys.data(), stride);
    std::fill(values_.begin(), values_.end(), 0.0);
    for (std::size_t h = 0; h < t.group; ++h) add(row, h, keys);
    const std::size_t count = std::min({rule_.count, rule_.window, t.queries});
    for (double& value : values_) {
        value /= static_cast<double>(count * t.group);
        if (rule_.rms) value = std::sqrt(value);
    }
}

/// Adds what a query head's replayed queries attend to, or its squares.
void ReplayedAttention::add(const RowContext& context, std::size_t head, const AlignedFloats& keys) {
    const HeadTensors& t = *context.tensors;
    const std::size_t tokens = context.tokens;
    const std::size_t window = std::min(rule_.window, t.queries), count = std::min(rule_.count, window);
    const std::size_t stride = padded_columns(tokens);
    AlignedFloats queries(count * t.dim), rows(count * stride);
    for (std::size_t i = 0; i < count; ++i) {
        const std::size_t position = t.queries - window + i * window / count;
        turn(t, t.query(head, position), t.queries + i - position, queries.data() + i * t.dim);
    }
    matmul(queries.data(), t.dim, keys.data(), stride, rows.data(), stride, count, t.dim, stride);
    for (std::size_t i = 0; i < count; ++i) {
        float* const row = rows.data() + i * stride;
        const std::size_t first = first_seen(context, t.queries + i);
        if (first == tokens) break; // the later ones see even less
        softmax(row, first, tokens, stride, t.softmax_scale);
        for (std::size_t j = first; j < tokens; ++j) {
            const auto attention = static_cast<double>(row[j]);
            values_[j] += rule_.rms ? attention * attention : attention;
        }
    }
}

} // namespace evictlab::columns
