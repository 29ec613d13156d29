// SPDX-License-Identifier: MIT
#include <algorithm>
#include <cmath>

#include "base/numeric/sums.hpp"
#include "base/numeric/vectors.hpp"
#include "framework/columns/states.hpp"
#include "framework/columns/symmetric.hpp"
#include "framework/layer/rope.hpp"

namespace evictlab::columns {
namespace {

using Numbers = std::vector<double>;

struct CapacityRule {
    std::size_t tau, future, sinks;
};

class Capacity final : public Copyable<Capacity> {
public:
    Capacity(CapacityRule rule, std::size_t tokens) : rule_(rule), values_(padded(tokens)) {}

    void update(const RowContext& row) override {
        const HeadTensors& t = *row.tensors;
        read_queries(t);
        std::fill(values_.begin(), values_.end(), 0.0);
        // Behind the sinks by position: with evicted tokens, slot and position differ.
        const auto first = static_cast<std::size_t>(
            std::lower_bound(row.position, row.position + row.tokens, static_cast<double>(rule_.sinks)) - row.position);
        if (t.queries <= rule_.sinks || first >= row.tokens) return;
        Rotation ahead(t.dim);
        set_mean(t, t.queries, rule_.future, ahead);
        Numbers query(t.dim);
        for (const Numbers& sum : sums_) {
            ahead.apply(sum.data(), query.data()); // the mean's length says nothing about its direction
            score_head(t, query, first, row.tokens);
        }
    }
    const double* values() override { return values_.data(); }

private:
    /// Adds the queries that came since, as they were before RoPE.
    void read_queries(const HeadTensors& t) {
        if (sums_.empty()) sums_.assign(t.group, Numbers(t.dim));
        Numbers turned(t.dim), query(t.dim);
        Rotation back(t.dim);
        for (std::size_t i = std::max(next_query_, rule_.sinks); i < t.queries; ++i) {
            set_back_from(t, static_cast<double>(i), back);
            for (std::size_t h = 0; h < t.group; ++h) {
                const float* const q = t.query(h, i);
                for (std::size_t x = 0; x < t.dim; ++x) turned[x] = static_cast<double>(q[x]);
                back.apply(turned.data(), query.data());
                numeric::accumulate(query.data(), t.dim, sums_[h].data());
            }
        }
        next_query_ = t.queries;
    }

    void score_head(const HeadTensors& t, const Numbers& query, std::size_t first, std::size_t tokens) {
        constexpr double epsilon = 1e-6; // CAPKV's, of a weight
        const Numbers weights = weights_of(t, query, first, tokens);
        Numbers matrix(t.dim * t.dim), scratch(t.dim), value(t.dim);
        for (std::size_t i = first; i < tokens; ++i) {
            const double root = std::sqrt(weights[i - first] + epsilon);
            for (std::size_t x = 0; x < t.dim; ++x) value[x] = root * static_cast<double>(t.v[i * t.dim + x]);
            numeric::accumulate_outer(value.data(), t.dim, scratch.data(), matrix.data());
        }
        for (std::size_t x = 0; x < t.dim; ++x) matrix[x * t.dim + x] += 1;
        matrix = inverse_of_positive(matrix, t.dim);
        for (std::size_t i = first; i < tokens; ++i) {
            for (std::size_t x = 0; x < t.dim; ++x) value[x] = static_cast<double>(t.v[i * t.dim + x]);
            values_[i] += weights[i - first] * numeric::quadratic(matrix.data(), value.data(), t.dim, scratch.data()) /
                          static_cast<double>(t.group);
        }
    }

    /// exp(tau cosine) of each key and the query, over the highest of them.
    Numbers weights_of(const HeadTensors& t, const Numbers& query, std::size_t first, std::size_t tokens) const {
        double squares = 0;
        for (const double x : query) squares += x * x;
        const double size = std::max(std::sqrt(squares), 1e-12);
        Numbers weights;
        double highest = -1;
        for (std::size_t i = first; i < tokens; ++i) {
            const float* const key = t.k + i * t.dim;
            double along = 0;
            for (std::size_t x = 0; x < t.dim; ++x) along += static_cast<double>(key[x]) * query[x];
            weights.push_back(std::clamp(along / (std::max(numeric::norm(key, t.dim), 1e-12) * size), -1.0, 1.0));
            highest = std::max(highest, weights.back());
        }
        for (double& weight : weights) weight = std::exp(static_cast<double>(rule_.tau) * (weight - highest));
        return weights;
    }

    CapacityRule rule_;
    std::size_t next_query_ = 0; ///< the first that is not in the sums
    std::vector<Numbers> sums_;  ///< [query head of the group][dim]
    Numbers values_;
};

CapacityRule read(std::string_view text) {
    Arguments arguments("capacity", text);
    const CapacityRule rule{arguments.keyed("tau", 5, 0, 1000), arguments.keyed("future", 512, 1, 1 << 20),
                            arguments.keyed("sinks", 4, 0, 1 << 20)};
    arguments.end("capacity or capacity:tau=5:future=512:sinks=4");
    return rule;
}

} // namespace

ColumnInfo describe_capacity() {
    return {"capacity",
            "leverage of the token's value among those of its head, each weighed by exp(tau c), c being the cosine of "
            "its key and the mean query at the next F positions, mean over the query heads of its KV head; 0 at the S "
            "sinks (CAPKV): capacity:tau=T:future=F:sinks=S (5, 512, 4)",
            ColumnKind::token,
            [](std::string_view arguments, std::size_t tokens) -> std::unique_ptr<ColumnState> {
                return std::make_unique<Capacity>(read(arguments), tokens);
            },
            ColumnNeeds::tensors,
            last_query,
            ColumnQueries::all};
}

} // namespace evictlab::columns
