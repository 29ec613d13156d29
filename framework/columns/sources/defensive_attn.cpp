// SPDX-License-Identifier: MIT
#include <algorithm>
#include <numeric>
#include <span>

#include "base/numeric/pooling.hpp"
#include "framework/attention/softmax.hpp"
#include "framework/columns/latest_queries.hpp"
#include "framework/columns/states.hpp"
#include "framework/columns/window.hpp"

namespace evictlab::columns {
namespace {

struct Defensive {
    std::size_t window = 32, kernel = 5;

    std::size_t latest_queries() const { return window; }

    void operator()(const RowContext& row, double* out) const {
        const HeadTensors& t = *row.tensors;
        LatestQueries queries(row, window);
        const std::size_t before = queries.before();
        std::vector<double> attention(before), pooled(before);
        for (std::size_t h = 0; h < t.group; ++h) {
            float* const products = queries.products(h);
            for (std::size_t i = 0; i < queries.count(); ++i) {
                const auto [begin, end] = queries.seen_by(i);
                if (begin >= before) break; // the later ones see even less
                float* const of_query = products + i * queries.stride();
                softmax(of_query, begin, end, queries.stride(), t.softmax_scale);
                std::copy_n(of_query, before, attention.begin());
                numeric::pool(attention, kernel, numeric::Pooling::average, pooled.data());
                const double mass = std::accumulate(attention.begin(), attention.end(), 0.0);
                const double left = std::accumulate(pooled.begin(), pooled.end(), 0.0);
                const double share = left > 0 ? mass / left : 0; // the pooling loses some at the ends
                for (std::size_t j = 0; j < before; ++j) out[j] = std::max(out[j], pooled[j] * share);
            }
        }
    }
};

Defensive read(std::string_view text) {
    Arguments arguments("defensive_attn", text);
    Defensive rule;
    rule.window = arguments.number("the window", rule.window, 1, longest_window);
    rule.kernel = arguments.pool(rule.kernel);
    arguments.end("defensive_attn:32 or defensive_attn:32:pool=5");
    return rule;
}

} // namespace

ColumnInfo describe_defensive_attn() {
    return {"defensive_attn",
            "largest attention to the token's neighbourhood from any of the last W queries of any query head of its KV "
            "head: each query's attention before the window is averaged over the K nearest tokens, keeping its sum, "
            "before the largest is taken; 0 in the window (DefensiveKV): defensive_attn:W:pool=K (32, 5)",
            ColumnKind::token,
            [](std::string_view arguments, std::size_t tokens) -> std::unique_ptr<ColumnState> {
                return std::make_unique<TensorRule<Defensive>>(tokens, read(arguments));
            },
            ColumnNeeds::tensors,
            last_query,
            ColumnQueries::all};
}

} // namespace evictlab::columns
