// What past queries would attend to if they were asked again at the positions that follow: the next queries, foretold
// by those that were, with the distances that they will have. SPDX-License-Identifier: MIT
#pragma once
#include <cstddef>
#include <vector>

#include "base/numeric/aligned.hpp"
#include "framework/columns/states.hpp"

namespace evictlab::columns {

struct ReplayRule {
    std::size_t window = 64; ///< latest queries; all_history: all
    std::size_t count = 128; ///< replayed of these at most, evenly spaced
    bool rms = false;        ///< root of the mean square, which queries that attend sharply rule, in place of the mean
};

/// Of n tokens seen, query i of the `count` chosen ones, oldest first, is turned by RoPE from its own position to n +
/// i; its softmax is over the cached tokens that it sees there. The mean over the chosen queries and the group's heads;
/// a query that is beyond the sliding window of them all gives 0.
class ReplayedAttention final : public Copyable<ReplayedAttention>, public QueryReader {
public:
    ReplayedAttention(ReplayRule rule, std::size_t tokens) : rule_(rule), values_(padded(tokens)) {}
    void update(const RowContext& row) override; ///< row.tensors is not null
    const double* values() override { return values_.data(); }
    std::size_t latest_queries() const override { return rule_.window; }

private:
    void add(const RowContext& row, std::size_t head, const AlignedFloats& keys);

    ReplayRule rule_;
    std::vector<double> values_;
};

} // namespace evictlab::columns
