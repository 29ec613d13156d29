// SPDX-License-Identifier: MIT
#include <algorithm>

#include "framework/attention/matmul.hpp"
#include "framework/attention/softmax.hpp"
#include "framework/columns/inner_tokens.hpp"
#include "framework/columns/states.hpp"

namespace evictlab::columns {
namespace {

constexpr std::size_t block_queries = 32;

struct NonCausalAttention {
    std::size_t chunk;
    InnerTokens inner;

    void operator()(const RowContext& row, double* out) const {
        const std::size_t n = inner.count(row.tokens);
        for (std::size_t begin = 0; begin < n; begin += chunk) {
            const std::size_t slot = inner.first + begin;
            add_chunk(row, slot, std::min(chunk, n - begin), out + slot);
        }
    }

    /// The last chunk is filled up with vectors of zeros: as keys they have the logit 0, as queries they give every key
    /// its equal share.
    void add_chunk(const RowContext& row, std::size_t slot, std::size_t count, double* out) const {
        const HeadTensors& t = *row.tensors;
        const std::size_t stride = padded_columns(chunk);
        AlignedFloats keys(t.dim * stride), queries(block_queries * t.dim), rows(block_queries * stride);
        transpose(t.k + slot * t.dim, t.dim, count, t.dim, keys.data(), stride);
        for (std::size_t h = 0; h < t.group; ++h)
            for (std::size_t first = 0; first < count; first += block_queries) {
                const std::size_t m = std::min(block_queries, count - first);
                for (std::size_t i = 0; i < m; ++i) {
                    const auto position = static_cast<std::size_t>(row.position[slot + first + i]);
                    std::copy_n(t.query(h, position), t.dim, queries.data() + i * t.dim);
                }
                matmul(queries.data(), t.dim, keys.data(), stride, rows.data(), stride, m, t.dim, stride);
                for (std::size_t i = 0; i < m; ++i) {
                    float* const attention = rows.data() + i * stride;
                    softmax(attention, 0, chunk, stride, 1);
                    for (std::size_t j = 0; j < count; ++j) out[j] += static_cast<double>(attention[j]);
                }
            }
        const double of_padding = static_cast<double>(chunk - count) / static_cast<double>(chunk);
        for (std::size_t j = 0; j < count; ++j) out[j] = out[j] / static_cast<double>(t.group) + of_padding;
    }
};

NonCausalAttention read(std::string_view text) {
    Arguments arguments("non_causal_attn", text);
    NonCausalAttention rule{arguments.number("the chunk", 256, 1, 4096), {}};
    rule.inner = InnerTokens::read(arguments);
    arguments.end("non_causal_attn:256 or non_causal_attn:256:first=8:last=4");
    return rule;
}

} // namespace

ColumnInfo describe_non_causal_attn() {
    return {"non_causal_attn",
            "attention to the token from all queries of its chunk of C tokens, later and earlier ones, summed, by q.k "
            "without a softmax scale, mean over the query heads of its KV head (NonCausalAttn): non_causal_attn:C "
            "(256); :first=F:last=L leaves out the first F and last L tokens, which have 0",
            ColumnKind::token,
            [](std::string_view arguments, std::size_t tokens) -> std::unique_ptr<ColumnState> {
                return std::make_unique<TensorRule<NonCausalAttention>>(tokens, read(arguments));
            },
            ColumnNeeds::tensors,
            last_query,
            ColumnQueries::all};
}

} // namespace evictlab::columns
