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
    bool by_dim = false; ///< 1/sqrt(d) for the layer's softmax scale, as kvpress has it
};

/// The mean over the group's query heads of a softmax, over the cached tokens behind the sinks, of
/// s k.mu + s^2 k' Sigma k/2, where s is the softmax scale; 0 at the sinks, and everywhere when no query is behind
/// them. mu and Sigma are those of the queries before RoPE from position `sinks` on, turned by the mean rotation of the
/// next `future` positions. With a sliding window a token's rotation is the mean over those of them that see it, and
/// its exponential counts by their share: 0 where none does.
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
    class Turned;
    void read_queries(const HeadTensors& tensors);
    void score_head(const RowContext& row, const Statistics& statistics, std::size_t first);
    /// Of the next `future` positions, how many see the cached token.
    std::size_t seen_by(const RowContext& row, std::size_t token) const;

    ExpectedAttentionRule rule_;
    std::size_t next_query_ = 0; ///< the first that is not in the statistics
    std::vector<Statistics> heads_;
    Numbers values_;
};

} // namespace evictlab::columns
