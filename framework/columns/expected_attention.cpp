// SPDX-License-Identifier: MIT
#include "framework/columns/expected_attention.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

#include "framework/columns/column_kernels.hpp"

namespace evictlab::columns {
namespace {

using Numbers = std::vector<double>;

/// RoPE in the half-split form: pair m is (m, m + d/2), turned by (cosine[m], sine[m]).
void rotate(const double* x, const Numbers& cosine, const Numbers& sine, double* out) {
    const std::size_t half = cosine.size();
    for (std::size_t m = 0; m < half; ++m) {
        out[m] = x[m] * cosine[m] - x[m + half] * sine[m];
        out[m + half] = x[m + half] * cosine[m] + x[m] * sine[m];
    }
}

/// The mean rotation of positions from .. from + future - 1, by the sums of cosines and sines of equally spaced angles:
/// not orthogonal, it shrinks.
void mean_rotation(const HeadTensors& t, std::size_t from, std::size_t future, Numbers& cosine, Numbers& sine) {
    const auto count = static_cast<double>(future);
    const double middle = static_cast<double>(from) + (count - 1) / 2;
    for (std::size_t m = 0; m < t.dim / 2; ++m) {
        const auto step = static_cast<double>(t.rope_inv_freq[m]);
        const double below = std::sin(step / 2);
        const double shrink = std::fabs(below) > 1e-12 ? std::sin(count * step / 2) / (count * below) : 1;
        cosine[m] = static_cast<double>(t.rope_scale) * shrink * std::cos(middle * step);
        sine[m] = static_cast<double>(t.rope_scale) * shrink * std::sin(middle * step);
    }
}

/// R S R', where S is symmetric: R on the columns, then R on the columns of the transpose.
void rotate_both_sides(Numbers& matrix, std::size_t dim, const Numbers& cosine, const Numbers& sine) {
    Numbers result(dim * dim), column(dim), turned(dim);
    for (int pass = 0; pass < 2; ++pass) {
        for (std::size_t y = 0; y < dim; ++y) {
            for (std::size_t x = 0; x < dim; ++x) column[x] = matrix[x * dim + y];
            rotate(column.data(), cosine, sine, turned.data());
            std::copy(turned.begin(), turned.end(), result.begin() + static_cast<std::ptrdiff_t>(y * dim));
        }
        matrix = result;
    }
}

} // namespace

/// Adds the queries that came since, as they were before RoPE.
void ExpectedAttention::read_queries(const HeadTensors& t) {
    Numbers turned(t.dim), query(t.dim), cosine(t.dim / 2), sine(t.dim / 2);
    if (heads_.empty()) heads_.assign(t.group, {Numbers(t.dim), Numbers(t.dim * t.dim)});
    for (std::size_t i = std::max(next_query_, rule_.sinks); i < t.queries; ++i) {
        for (std::size_t m = 0; m < t.dim / 2; ++m) {
            const double angle = static_cast<double>(i) * static_cast<double>(t.rope_inv_freq[m]);
            cosine[m] = std::cos(angle) / static_cast<double>(t.rope_scale);
            sine[m] = -std::sin(angle) / static_cast<double>(t.rope_scale);
        }
        for (std::size_t h = 0; h < t.group; ++h) {
            const float* q = t.q + h * t.q_stride + i * t.dim;
            for (std::size_t x = 0; x < t.dim; ++x) turned[x] = static_cast<double>(q[x]);
            rotate(turned.data(), cosine, sine, query.data());
            accumulate_outer(query.data(), t.dim, heads_[h].sum.data(), heads_[h].outer.data());
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
        : t_(t), mean_(mean), covariance_(covariance), turned_mean_(t.dim), cosine_(t.dim / 2), sine_(t.dim / 2) {}

    /// mu and Sigma for tokens that the next `positions` queries see.
    void seen_by(std::size_t positions) {
        if (positions == positions_) return;
        positions_ = positions;
        mean_rotation(t_, t_.queries, positions, cosine_, sine_);
        rotate(mean_.data(), cosine_, sine_, turned_mean_.data());
        turned_covariance_ = covariance_;
        if (!covariance_.empty()) rotate_both_sides(turned_covariance_, t_.dim, cosine_, sine_);
    }
    const Numbers& mean() const { return turned_mean_; }
    const Numbers& covariance() const { return turned_covariance_; }

private:
    const HeadTensors& t_;
    const Numbers &mean_, &covariance_;
    std::size_t positions_ = 0;
    Numbers turned_mean_, turned_covariance_, cosine_, sine_;
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
            logits[i] += quadratic(turned.covariance().data(), key.data(), t.dim, scratch.data()) * (scale * scale / 2);
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
