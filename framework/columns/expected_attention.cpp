// SPDX-License-Identifier: MIT
#include "framework/columns/expected_attention.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

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

/// The queries of one head at positions `first` .. queries - 1 as they were before RoPE, [count][dim].
Numbers before_rope(const HeadTensors& t, std::size_t head, std::size_t first) {
    Numbers out((t.queries - first) * t.dim), rotated(t.dim), cosine(t.dim / 2), sine(t.dim / 2);
    for (std::size_t i = first; i < t.queries; ++i) {
        const float* q = t.q + head * t.q_stride + i * t.dim;
        for (std::size_t x = 0; x < t.dim; ++x) rotated[x] = static_cast<double>(q[x]);
        for (std::size_t m = 0; m < t.dim / 2; ++m) {
            const double angle = static_cast<double>(i) * static_cast<double>(t.rope_inv_freq[m]);
            cosine[m] = std::cos(angle) / static_cast<double>(t.rope_scale);
            sine[m] = -std::sin(angle) / static_cast<double>(t.rope_scale);
        }
        rotate(rotated.data(), cosine, sine, out.data() + (i - first) * t.dim);
    }
    return out;
}

struct Statistics {
    Numbers mean;       ///< [dim]
    Numbers covariance; ///< [dim][dim], of the population; empty where not asked for
};

Statistics statistics(const Numbers& queries, std::size_t dim, bool covariance) {
    const std::size_t count = queries.size() / dim;
    Statistics s{Numbers(dim), {}};
    for (std::size_t i = 0; i < count; ++i)
        for (std::size_t x = 0; x < dim; ++x) s.mean[x] += queries[i * dim + x];
    for (double& x : s.mean) x /= static_cast<double>(count);
    if (!covariance) return s;
    s.covariance.assign(dim * dim, 0.0);
    Numbers from_mean(dim);
    for (std::size_t i = 0; i < count; ++i) {
        for (std::size_t x = 0; x < dim; ++x) from_mean[x] = queries[i * dim + x] - s.mean[x];
        for (std::size_t x = 0; x < dim; ++x)
            for (std::size_t y = 0; y < dim; ++y) s.covariance[x * dim + y] += from_mean[x] * from_mean[y];
    }
    for (double& c : s.covariance) c /= static_cast<double>(count);
    return s;
}

/// Turns mean and covariance by the mean rotation of positions from .. from + future - 1, which shrinks them.
void turn(Statistics& s, const HeadTensors& t, std::size_t from, std::size_t future) {
    Numbers cosine(t.dim / 2, 0.0), sine(t.dim / 2, 0.0);
    for (std::size_t m = 0; m < t.dim / 2; ++m) {
        for (std::size_t p = from; p < from + future; ++p) {
            const double angle = static_cast<double>(p) * static_cast<double>(t.rope_inv_freq[m]);
            cosine[m] += std::cos(angle);
            sine[m] += std::sin(angle);
        }
        const double share = static_cast<double>(t.rope_scale) / static_cast<double>(future);
        cosine[m] *= share;
        sine[m] *= share;
    }
    Numbers turned(t.dim);
    rotate(s.mean.data(), cosine, sine, turned.data());
    s.mean = turned;
    if (s.covariance.empty()) return;
    Numbers half(t.dim * t.dim), column(t.dim); // R S, a column of S at a time; then (R (R S)')' = R S R'
    for (int pass = 0; pass < 2; ++pass) {
        for (std::size_t y = 0; y < t.dim; ++y) {
            for (std::size_t x = 0; x < t.dim; ++x) column[x] = s.covariance[x * t.dim + y];
            rotate(column.data(), cosine, sine, turned.data());
            for (std::size_t x = 0; x < t.dim; ++x) half[y * t.dim + x] = turned[x]; // transposed
        }
        s.covariance = half;
    }
}

/// k' S k, with the sums in a fixed order.
double quadratic(const Numbers& matrix, const double* k, std::size_t dim) {
    double sum = 0;
    for (std::size_t x = 0; x < dim; ++x) {
        double along = 0;
        for (std::size_t y = 0; y < dim; ++y) along += matrix[x * dim + y] * k[y];
        sum += k[x] * along;
    }
    return sum;
}

} // namespace

void expected_attention(const ExpectedAttentionRule& rule, const RowContext& row, double* out) {
    const HeadTensors& t = *row.tensors;
    const std::size_t n = row.tokens;
    std::fill(out, out + n, 0.0);
    // Behind the sinks by position: with evicted tokens, slot and position differ.
    const auto first = static_cast<std::size_t>(
        std::lower_bound(row.position, row.position + n, static_cast<double>(rule.sinks)) - row.position);
    if (t.queries <= rule.sinks || first >= n) return;
    const auto dim = static_cast<double>(t.dim);
    Numbers logits(n), key(t.dim);
    for (std::size_t h = 0; h < t.group; ++h) {
        Statistics s = statistics(before_rope(t, h, rule.sinks), t.dim, rule.covariance);
        turn(s, t, t.queries, rule.future);
        double highest = -HUGE_VAL, total = 0;
        for (std::size_t i = first; i < n; ++i) {
            double along = 0;
            for (std::size_t x = 0; x < t.dim; ++x) {
                key[x] = static_cast<double>(t.k[i * t.dim + x]);
                along += key[x] * s.mean[x];
            }
            logits[i] = along / std::sqrt(dim);
            if (rule.covariance) logits[i] += quadratic(s.covariance, key.data(), t.dim) / (2 * dim);
            highest = std::max(highest, logits[i]);
        }
        for (std::size_t i = first; i < n; ++i) total += logits[i] = std::exp(logits[i] - highest);
        for (std::size_t i = first; i < n; ++i) out[i] += logits[i] / total / static_cast<double>(t.group);
    }
}

} // namespace evictlab::columns
