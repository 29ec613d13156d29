// SPDX-License-Identifier: MIT
#include <vector>

#include "base/numeric/sums.hpp"
#include "framework/attention/matmul.hpp"
#include "framework/columns/latest_queries.hpp"
#include "framework/columns/states.hpp"
#include "framework/columns/symmetric.hpp"
#include "framework/columns/window.hpp"

namespace evictlab::columns {
namespace {

constexpr std::size_t dropkv_window = 32;

struct Name {
    std::size_t window;
    bool behind_projection;
};

Name read(std::string_view text) {
    Arguments arguments("leave_one_out", text);
    const Name name{arguments.number("the window", dropkv_window, 1, longest_window), arguments.word("wo")};
    arguments.end("leave_one_out:32 or leave_one_out:32:wo");
    return name;
}

/// The values of one KV head.
struct Values {
    AlignedFloats channels; ///< [dim][stride]
    AlignedFloats rows;     ///< [tokens][dim]

    Values(const RowContext& row, std::size_t stride)
        : channels(row.tensors->dim * stride), rows(row.tensors->v, row.tensors->v + row.tokens * row.tensors->dim) {
        transpose(rows.data(), row.tensors->dim, row.tokens, row.tensors->dim, channels.data(), stride);
    }
    /// Those behind the output projection of a query head, but for a rotation there, which no distance tells.
    Values(const Values& values, const double* gram, std::size_t tokens, std::size_t dim, std::size_t stride)
        : channels(dim * stride), rows(tokens * dim) {
        const std::vector<double> root = root_of_gram(gram, dim);
        std::vector<double> channel(tokens);
        for (std::size_t x = 0; x < dim; ++x) {
            numeric::products(values.channels.data(), stride, dim, root.data() + x * dim, tokens, channel.data());
            for (std::size_t i = 0; i < tokens; ++i)
                channels[x * stride + i] = rows[i * dim + x] = static_cast<float>(channel[i]);
        }
    }
};

/// With o the output of a query, taking away a token of weight p changes it by p/(1 - p) (v - o).
struct LeaveOneOut {
    Name name;

    std::size_t latest_queries() const { return name.window; }

    void operator()(const RowContext& row, double* out) const {
        const HeadTensors& t = *row.tensors;
        const LatestQueries queries(row, name.window);
        const Values values(row, queries.stride());
        for (std::size_t h = 0; h < t.group; ++h) {
            if (name.behind_projection)
                add_head(row, queries, h,
                         Values(values, t.wo_gram + h * t.dim * t.dim, row.tokens, t.dim, queries.stride()), out);
            else
                add_head(row, queries, h, values, out);
        }
    }

    static void add_head(const RowContext& row, const LatestQueries& queries, std::size_t h, const Values& values,
                         double* out) {
        const HeadTensors& t = *row.tensors;
        std::vector<double> weights(row.tokens), distances(row.tokens), output(t.dim);
        for (std::size_t i = 0; i < queries.count(); ++i) {
            const auto [begin, end] = queries.seen_by(i);
            const std::size_t n = end - begin;
            if (n == 0) continue;
            queries.exact_products(h, i, weights.data());
            double* const seen = weights.data() + begin;
            const double total = numeric::exponentials(seen, n, static_cast<double>(t.softmax_scale));
            numeric::weighted_sum(values.rows.data() + begin * t.dim, n, t.dim, seen, output.data());
            for (double& x : output) x /= total;
            numeric::squared_distances(values.channels.data() + begin, queries.stride(), t.dim, output.data(), n,
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
    ColumnInfo info{
        "leave_one_out",
        "squared change of a query head's output if the token alone were gone, summed over the last W queries, mean "
        "over the query heads of its KV head (DropKV): leave_one_out:W (32); with :wo, of the head's part in the "
        "layer's output, behind the output projection, which suites must have then",
        ColumnKind::token,
        [](std::string_view arguments, std::size_t tokens) -> std::unique_ptr<ColumnState> {
            return std::make_unique<TensorRule<LeaveOneOut>>(tokens, LeaveOneOut{read(arguments)});
        },
        ColumnNeeds::tensors,
        last_query,
        ColumnQueries::all};
    info.needs_with = [](std::string_view arguments) {
        return read(arguments).behind_projection ? ColumnNeeds::wo_gram : ColumnNeeds::tensors;
    };
    return info;
}

} // namespace evictlab::columns
