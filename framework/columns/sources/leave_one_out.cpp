// SPDX-License-Identifier: MIT
#include <vector>

#include "base/numeric/sums.hpp"
#include "framework/attention/matmul.hpp"
#include "framework/columns/latest_queries.hpp"
#include "framework/columns/states.hpp"
#include "framework/columns/window.hpp"

namespace evictlab::columns {
namespace {

constexpr std::size_t dropkv_window = 32;

std::size_t read(std::string_view text) {
    Arguments arguments("leave_one_out", text);
    const std::size_t window = arguments.number("the window", dropkv_window, 1, longest_window);
    arguments.end("leave_one_out:32");
    return window;
}

/// With o the output of a query, taking away a token of weight p changes it by p/(1 - p) (v - o).
struct LeaveOneOut {
    std::size_t window;

    std::size_t latest_queries() const { return window; }

    void operator()(const RowContext& row, double* out) const {
        const HeadTensors& t = *row.tensors;
        const LatestQueries queries(row, window);
        AlignedFloats values(t.dim * queries.stride()); // [dim][stride]
        transpose(t.v, t.dim, row.tokens, t.dim, values.data(), queries.stride());
        std::vector<double> weights(row.tokens), distances(row.tokens), output(t.dim);
        for (std::size_t h = 0; h < t.group; ++h)
            for (std::size_t i = 0; i < queries.count(); ++i) {
                const auto [begin, end] = queries.seen_by(i);
                const std::size_t n = end - begin;
                if (n == 0) continue;
                queries.exact_products(h, i, weights.data());
                double* const seen = weights.data() + begin;
                const double total = numeric::exponentials(seen, n, static_cast<double>(t.softmax_scale));
                numeric::weighted_sum(t.v + begin * t.dim, n, t.dim, seen, output.data());
                for (double& x : output) x /= total;
                numeric::squared_distances(values.data() + begin, queries.stride(), t.dim, output.data(), n,
                                           distances.data());
                add(seen, total, distances.data(), n, 1 / static_cast<double>(t.group), out + begin);
            }
    }

    /// Weights are not divided by their sum yet: what the others sum up to is exact where one has nearly all.
    static void add(const double* weights, double total, const double* distances, std::size_t n, double share,
                    double* out) {
        constexpr double epsilon = 1e-6; // DropKV's, of a weight: for a token that alone is seen
        for (std::size_t j = 0; j < n; ++j) {
            const double odds = weights[j] / (total - weights[j] + epsilon * total);
            out[j] += odds * odds * distances[j] * share;
        }
    }
};

} // namespace

ColumnInfo describe_leave_one_out() {
    return {"leave_one_out",
            "squared change of a query head's output if the token alone were gone, summed over the last W queries, "
            "mean over the query heads of its KV head (DropKV): leave_one_out:W (32)",
            ColumnKind::token,
            [](std::string_view arguments, std::size_t tokens) -> std::unique_ptr<ColumnState> {
                return std::make_unique<TensorRule<LeaveOneOut>>(tokens, LeaveOneOut{read(arguments)});
            },
            ColumnNeeds::tensors,
            last_query,
            ColumnQueries::all};
}

} // namespace evictlab::columns
