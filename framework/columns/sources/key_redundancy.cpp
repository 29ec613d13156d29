// SPDX-License-Identifier: MIT
#include <algorithm>
#include <cmath>
#include <optional>

#include "base/numeric/sums.hpp"
#include "base/numeric/vectors.hpp"
#include "framework/attention/matmul.hpp"
#include "framework/columns/states.hpp"

namespace evictlab::columns {
namespace {

constexpr std::size_t block_rows = 32, block_columns = 256;
constexpr float similar = 0.5F;

/// The keys of a head as unit vectors.
struct UnitKeys {
    explicit UnitKeys(const RowContext& row)
        : dim(row.tensors->dim), n(row.tokens), stride(padded_columns(n)), keys(n * dim), columns(dim * stride) {
        for (std::size_t i = 0; i < n; ++i) {
            const float* const key = row.tensors->k + i * dim;
            const double size = numeric::norm(key, dim) + 1e-8;
            for (std::size_t x = 0; x < dim; ++x)
                keys[i * dim + x] = static_cast<float>(static_cast<double>(key[x]) / size);
        }
        transpose(keys.data(), dim, n, dim, columns.data(), stride);
    }
    const float* key(std::size_t i) const { return keys.data() + i * dim; }

    std::size_t dim, n, stride;
    AlignedFloats keys, columns; ///< [n][dim], [dim][stride]
};

/// Of the rows first .. first + count - 1 of the cosines, the last token that is similar to the row's own, if any:
/// looked for from the end, where it mostly is.
std::vector<std::optional<std::size_t>> last_similar(const UnitKeys& unit, std::size_t first, std::size_t count) {
    std::vector<std::optional<std::size_t>> found(count);
    AlignedFloats cosines(count * block_columns);
    std::size_t left = count;
    for (std::size_t block = (unit.n + block_columns - 1) / block_columns; block > 0 && left > 0; --block) {
        const std::size_t begin = (block - 1) * block_columns, end = std::min(unit.n, begin + block_columns);
        matmul(unit.key(first), unit.dim, unit.columns.data() + begin, unit.stride, cosines.data(), block_columns,
               count, unit.dim, std::min(block_columns, unit.stride - begin));
        for (std::size_t r = 0; r < count; ++r) {
            const float* const row = cosines.data() + r * block_columns;
            for (std::size_t j = end; j > begin && !found[r]; --j)
                if (row[j - 1 - begin] > similar && j - 1 != first + r) found[r] = j - 1;
            left -= found[r] && *found[r] >= begin && *found[r] < end ? 1 : 0;
        }
    }
    return found;
}

struct Redundancy {
    bool first; ///< R-KV's retain_direction=first, which always forgives token 0

    /// The mean cosine to all other keys, where each key forgives one of those similar to it (token 0 if there is
    /// none); softmax over all tokens.
    void operator()(const RowContext& row, double* out) const {
        const UnitKeys unit(row);
        const std::vector<double> ones(unit.n, 1.0);
        std::vector<double> sum(unit.dim);
        numeric::weighted_sum(unit.keys.data(), unit.n, unit.dim, ones.data(), sum.data());
        for (std::size_t j = 0; j < unit.n; ++j) {
            for (std::size_t x = 0; x < unit.dim; ++x) out[j] += static_cast<double>(unit.key(j)[x]) * sum[x];
            out[j] -= numeric::dot(unit.key(j), unit.key(j), unit.dim);
        }
        for (std::size_t begin = 0; begin < unit.n; begin += block_rows) {
            const std::size_t count = std::min(block_rows, unit.n - begin);
            const auto forgiven =
                first ? std::vector<std::optional<std::size_t>>(count) : last_similar(unit, begin, count);
            for (std::size_t i = begin; i < begin + count; ++i)
                if (const std::size_t j = forgiven[i - begin].value_or(0); j != i)
                    out[j] -= numeric::dot(unit.key(i), unit.key(j), unit.dim);
        }
        double highest = -HUGE_VAL, total = 0;
        for (std::size_t j = 0; j < unit.n; ++j) highest = std::max(highest, out[j] /= static_cast<double>(unit.n));
        for (std::size_t j = 0; j < unit.n; ++j) total += out[j] = std::exp(out[j] - highest);
        for (std::size_t j = 0; j < unit.n; ++j) out[j] /= total;
    }
};

bool read(std::string_view text) {
    Arguments arguments("key_redundancy", text);
    const bool first = arguments.word("first");
    arguments.end("key_redundancy or key_redundancy:first");
    return first;
}

} // namespace

ColumnInfo describe_key_redundancy() {
    return {"key_redundancy",
            "how much the token's key resembles the others: softmax over the tokens of the mean cosine to all other "
            "keys, each of which leaves out the last one that it resembles by more than 0.5, or token 0 if there is "
            "none (R-KV); key_redundancy:first: always token 0",
            ColumnKind::token,
            [](std::string_view arguments, std::size_t tokens) -> std::unique_ptr<ColumnState> {
                return std::make_unique<TensorRule<Redundancy>>(tokens, Redundancy{read(arguments)});
            },
            ColumnNeeds::tensors,
            last_query,
            ColumnQueries::none};
}

} // namespace evictlab::columns
