// ExpectedAttention's score without its value norms (Devoto et al. 2025, as NVIDIA's kvpress 0.5.5 computes it).
// SPDX-License-Identifier: MIT
#pragma once
#include <cstddef>
#include <vector>

#include "framework/columns/states.hpp"

namespace evictlab::columns {

struct ExpectedAttentionRule {
    std::size_t future = 512; ///< positions over which the rotation is averaged
    std::size_t sinks = 4;    ///< first positions, left out of the statistics and the softmax
    bool covariance = true;
};

/// The mean over the group's query heads of a softmax, over the cached tokens behind the sinks, of
/// k.mu/sqrt(d) + k' Sigma k/(2d); 0 at the sinks, and everywhere when no query is behind them. mu and Sigma are those
/// of the queries before RoPE from position `sinks` on, turned by the mean rotation of the next `future` positions.
class ExpectedAttention final : public Copyable<ExpectedAttention> {
public:
    ExpectedAttention(ExpectedAttentionRule rule, std::size_t tokens) : rule_(rule), values_(padded(tokens)) {}
    void update(const RowContext& row) override; ///< row.tensors is not null
    const double* values() override { return values_.data(); }

private:
    using Numbers = std::vector<double>;
    /// Sums over the queries of one head.
    struct Statistics {
        Numbers sum;   ///< [dim]
        Numbers outer; ///< [dim][dim]
    };
    void read_queries(const HeadTensors& tensors);
    void score_head(const RowContext& row, const Statistics& statistics, std::size_t first);

    ExpectedAttentionRule rule_;
    std::size_t next_query_ = 0; ///< the first that is not in the statistics
    std::vector<Statistics> heads_;
    Numbers values_;
};

} // namespace evictlab::columns
