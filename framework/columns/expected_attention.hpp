// ExpectedAttention's score without its value norms (Devoto et al. 2025, as NVIDIA's kvpress 0.5.5 computes it).
// SPDX-License-Identifier: MIT
#pragma once
#include <cstddef>

#include "framework/columns/column.hpp"

namespace evictlab::columns {

struct ExpectedAttentionRule {
    std::size_t future = 512; ///< positions over which the rotation is averaged
    std::size_t sinks = 4;    ///< first positions, left out of the statistics and the softmax
    bool covariance = true;
};

/// out[i] for row.tokens tokens: the mean over the group's query heads of a softmax over the tokens behind the sinks of
/// k.mu/sqrt(d) + k' Sigma k/(2d); 0 at the sinks, and everywhere when no query is behind them. mu and Sigma are those
/// of the queries before RoPE at positions sinks .. row.query, turned by the mean rotation of the next `future`
/// positions. row.tensors is not null.
void expected_attention(const ExpectedAttentionRule& rule, const RowContext& row, double* out);

} // namespace evictlab::columns
