// SPDX-License-Identifier: MIT
#include <algorithm>

#include "base/numeric/sums.hpp"
#include "framework/columns/inner_tokens.hpp"
#include "framework/columns/states.hpp"
#include "framework/columns/symmetric.hpp"
#include "framework/layer/rope.hpp"

namespace evictlab::columns {
namespace {

InnerTokens read(std::string_view text) {
    Arguments arguments("key_leverage", text);
    const InnerTokens inner = InnerTokens::read(arguments);
    arguments.end("key_leverage or key_leverage:first=8:last=4");
    return inner;
}

/// The keys of the slots first .. first + count - 1 as they were before RoPE: [count][dim].
std::vector<double> keys_before_rope(const RowContext& row, std::size_t first, std::size_t count) {
    const HeadTensors& t = *row.tensors;
    std::vector<double> keys(count * t.dim), key(t.dim);
    Rotation back(t.dim);
    for (std::size_t i = 0; i < count; ++i) {
        const float* cached = t.k + (first + i) * t.dim;
        for (std::size_t x = 0; x < t.dim; ++x) key[x] = static_cast<double>(cached[x]);
        set_back_from(t, row.position[first + i], back);
        back.apply(key.data(), keys.data() + i * t.dim);
    }
    return keys;
}

struct KeyLeverage {
    InnerTokens inner;

    void operator()(const RowContext& row, double* out) const {
        constexpr double ridge = 0.01; // kvpress's jitter
        const std::size_t dim = row.tensors->dim, n = inner.count(row.tokens);
        if (n == 0) return;
        std::vector<double> keys = keys_before_rope(row, inner.first, n);
        std::vector<double> sums(dim), gram(dim * dim), scratch(dim);
        for (std::size_t i = 0; i < n; ++i) numeric::accumulate(keys.data() + i * dim, dim, sums.data());
        for (double& x : sums) x /= static_cast<double>(n);
        for (std::size_t i = 0; i < n; ++i) {
            double* const key = keys.data() + i * dim;
            for (std::size_t x = 0; x < dim; ++x) key[x] -= sums[x];
            numeric::accumulate_outer(key, dim, scratch.data(), gram.data());
        }
        for (std::size_t x = 0; x < dim; ++x) gram[x * dim + x] += ridge;
        gram = inverse_of_positive(gram, dim);
        for (std::size_t i = 0; i < n; ++i)
            out[inner.first + i] =
                std::max(0.0, numeric::quadratic(gram.data(), keys.data() + i * dim, dim, scratch.data()));
    }
};

} // namespace

ColumnInfo describe_key_leverage() {
    return {"key_leverage",
            "statistical leverage of the token's key before RoPE among the keys of its head, whose mean is taken off, "
            "in [0, 1] (LeverageScore); key_leverage:first=F:last=L leaves out the first F and last L tokens, which "
            "have 0",
            ColumnKind::token,
            [](std::string_view arguments, std::size_t tokens) -> std::unique_ptr<ColumnState> {
                return std::make_unique<TensorRule<KeyLeverage>>(tokens, KeyLeverage{read(arguments)});
            },
            ColumnNeeds::tensors,
            last_query,
            ColumnQueries::none};
}

} // namespace evictlab::columns
