// SPDX-License-Identifier: MIT
#include "framework/columns/expected_attention.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/numeric/sums.hpp"
#include "framework/layer/rope.hpp"

namespace evictlab::columns {
namespace {

using Numbers = std::vector<double>;

/// R S R', where S is symmetric: R on the columns, then R on the columns of the transpose.
void rotate_both_sides(Numbers& matrix, std::size_t dim, const Rotation& rotation) {
    Numbers result(dim * dim), column(dim), turned(dim);
    for (int pass = 0; pass < 2; ++pass) {
        for (std::size_t y = 0; y < dim; ++y) {
            for (std::size_t x = 0; x < dim; ++x) column[x] = matrix[x * dim + y];
            rotation.apply(column.data(), turned.data());
            std::copy(turned.begin(), turned.end(), result.begin() + static_cast<std::ptrdiff_t>(y * dim));
        }
        matrix = result;
    }
}

} // namespace

/// Adds the queries that came since, as they were before RoPE.
void ExpectedAttention::read_queries(const HeadTensors& t) {
    Numbers turned(t.dim), query(t.dim);
    Rotation back(t.dim);
    if (heads_.empty()) heads_.assign(t.group, {Numbers(t.dim), Numbers(t.dim * t.dim)});
    for (std::size_t i = std::max(next_query_, rule_.sinks); i < t.queries; ++i) {
        set_back_from(t, static_cast<double>(i), back);
        for (std::size_t h = 0; h < t.group; ++h) {
            const float* q = t.query(h, i);
            for (std::size_t x = 0; x < t.dim; ++x) turned[x] = static_cast<double>(q[x]);
            back.apply(turned.data(), query.data());
            numeric::accumulate_outer(query.data(), t.dim, heads_[h].sum.data(), heads_[h].outer.data());
        }
    }
    next_query_ = t.queries;
}

void ExpectedAttention::update(const RowContext& row) {
    const HeadTensors& t = *row.tensors;
    read_queries(t);
    std::fill(values_.begin(), values_.end(), 0.0);
    // Behind the sinks by position: with evicted tokens, slot and position differ.
    const auto first = static_cast<std::size_t>(
        std::lower_bound(row.position, row.position + row.tokens, static_cast<double>(rule_.sinks)) - row.position);
    if (t.queries <= rule_.sinks || first >= row.tokens) return;
    for (const Statistics& head : heads_) score_head(row, head, first);
}

std::size_t ExpectedAttention::seen_by(const RowContext& row, std::size_t token) const {
    if (row.sliding_window == 0) return rule_.future;
    const std::size_t age = row.query - static_cast<std::size_t>(row.position[token]);
    return std::min(rule_.future, row.sliding_window - std::min(row.sliding_window, age + 1));
}

/// Turns by the mean rotation of the positions that see a token, which most tokens share.
class ExpectedAttention::Turned {
public:
    Turned(const HeadTensors& t, const Numbers& mean, const Numbers& covariance)
        : t_(t), mean_(mean), covariance_(covariance), turned_mean_(t.dim), rotation_(t.dim) {}

    /// mu and Sigma for tokens that the next `positions` queries see.
    void seen_by(std::size_t positions) {
        if (positions == positions_) return;
        positions_ = positions;
        set_mean(t_, t_.queries, positions, rotation_);
        rotation_.apply(mean_.data(), turned_mean_.data());
        turned_covariance_ = covariance_;
        if (!covariance_.empty()) rotate_both_sides(turned_covariance_, t_.dim, rotation_);
    }
    const Numbers& mean() const { return turned_mean_; }
    const Numbers& covariance() const { return turned_covariance_; }

private:
    const HeadTensors& t_;
    const Numbers &mean_, &covariance_;
    std::size_t positions_ = 0;
    Numbers turned_mean_, turned_covariance_;
    Rotation rotation_;
};

void ExpectedAttention::score_head(const RowContext& row, const Statistics& statistics, std::size_t first) {
    const HeadTensors& t = *row.tensors;
    const auto count = static_cast<double>(t.queries - rule_.sinks);
    const double scale =
        rule_.by_dim ? 1 / std::sqrt(static_cast<double>(t.dim)) : static_cast<double>(t.softmax_scale);
    Numbers mean = statistics.sum, covariance;
    for (double& x : mean) x /= count;
    if (rule_.covariance) {
        covariance = statistics.outer;
        for (std::size_t x = 0; x < t.dim; ++x)
            for (std::size_t y = 0; y < t.dim; ++y)
                covariance[x * t.dim + y] = covariance[x * t.dim + y] / count - mean[x] * mean[y];
    }
    Turned turned(t, mean, covariance);
    Numbers logits(row.tokens), key(t.dim), scratch(t.dim);
    double highest = -HUGE_VAL, total = 0;
    for (std::size_t i = first; i < row.tokens; ++i) {
        const std::size_t seen = seen_by(row, i);
        logits[i] = -HUGE_VAL;
        if (seen == 0) continue;
        turned.seen_by(seen);
        double along = 0;
        for (std::size_t x = 0; x < t.dim; ++x) {
            key[x] = static_cast<double>(t.k[i * t.dim + x]);
            along += key[x] * turned.mean()[x];
        }
        logits[i] = along * scale;
        if (rule_.covariance)
            logits[i] +=
                numeric::quadratic(turned.covariance().data(), key.data(), t.dim, scratch.data()) * (scale * scale / 2);
        highest = std::max(highest, logits[i]);
    }
    if (highest == -HUGE_VAL) return;
    for (std::size_t i = first; i < row.tokens; ++i) {
        const double share = static_cast<double>(seen_by(row, i)) / static_cast<double>(rule_.future);
        total += logits[i] = std::exp(logits[i] - highest) * share;
    }
    for (std::size_t i = first; i < row.tokens; ++i) values_[i] += logits[i] / total / static_cast<double>(t.group);
}

} // namespace evictlab::columns
