// SPDX-License-Identifier: MIT
#include "framework/scoring/prompt_columns.hpp"

#include <algorithm>
#include <cmath>

#include "framework/attention/matmul.hpp"
#include "framework/attention/softmax.hpp"

namespace evictlab {
namespace {

constexpr std::size_t block_queries = 32;

} // namespace

HeadTensors head_tensors(const LayerView& view, std::size_t kv_head, std::size_t queries) {
    const LayerArrays& layer = view.tensors();
    const LayerShape& shape = layer.shape;
    HeadTensors head;
    head.group = shape.group();
    head.dim = shape.dim;
    head.queries = queries;
    head.q_stride = layer.q_stride;
    if (layer.q && layer.first_query == 0) head.q = layer.query(kv_head * head.group, 0);
    head.k = layer.key(kv_head, 0);
    head.v = layer.value(kv_head, 0);
    if (view.wov_norm) head.wov_norm = view.wov_norm + kv_head * head.group * shape.tokens;
    head.wov_stride = shape.tokens;
    head.rope_inv_freq = layer.rope_inv_freq;
    head.rope_scale = layer.rope_scale;
    head.softmax_scale = layer.softmax_scale;
    return head;
}

std::vector<double> key_norms(const LayerView& view, std::size_t kv_head, std::size_t tokens) {
    const LayerShape& shape = view.shape();
    std::vector<double> norms(padded(tokens));
    const float* keys = view.tensors().key(kv_head, 0);
    for (std::size_t i = 0; i < tokens; ++i) {
        double squares = 0;
        for (std::size_t x = 0; x < shape.dim; ++x) {
            const auto value = static_cast<double>(keys[i * shape.dim + x]);
            squares += value * value;
        }
        norms[i] = std::sqrt(squares);
    }
    return norms;
}

PromptColumns::PromptColumns(const LayerView& view, std::span<const ColumnId> ids)
    : board_(ids, view.shape().kv_heads, view.shape().tokens), ages_(view.tokens) {
    feed(view, demand_of(ids));
}

void PromptColumns::feed(const LayerView& view, const ColumnDemand& demand) {
    const LayerShape& shape = view.shape();
    // Columns that follow from no query are fed rows without attention, and need no queries at all.
    const bool with_attention = demand.queries > 0;
    const std::size_t n = view.tokens, stride = with_attention ? view.rows->stride() : 0, group = shape.group();
    std::vector<HeadTensors> tensors;
    for (std::size_t a = 0; a < shape.kv_heads; ++a) {
        key_norms_.push_back(key_norms(view, a, view.tokens));
        attention_.emplace_back(stride);
        tensors.push_back(head_tensors(view, a, n));
    }
    AlignedFloats rows(shape.query_heads * block_queries * stride);
    layer_attention_.resize(demand.layer_history > 0 ? stride : 0);
    std::vector<double> query_attention(demand.query_rows_history > 0 ? group * stride : 0);
    RowContext row{.layer = view.layer, .num_layers = view.num_layers};
    row.sliding_window = view.tensors().sliding_window;
    row.position = ages_.position();
    row.token_type = view.token_type;
    row.group = group;
    row.query_stride = stride;
    for (std::size_t first = n - std::min(n, demand.history); first < n; first += block_queries) {
        const std::size_t count = std::min(block_queries, n - first);
        for (std::size_t h = 0; h < shape.query_heads && with_attention; ++h)
            view.rows->compute(h, first, count, rows.data() + h * block_queries * stride);
        for (std::size_t r = 0; r < count; ++r) {
            row.query = first + r;
            row.tokens = row.query + 1;
            row.relative_pos = ages_.relative_pos(row.query);
            const std::size_t left = n - row.query, width = padded(row.tokens);
            const auto of_head = [&](std::size_t h) { return rows.data() + (h * block_queries + r) * stride; };
            const bool layer_rows = left <= demand.layer_history, query_rows = left <= demand.query_rows_history;
            if (layer_rows)
                mean_of_rows(of_head(0), block_queries * stride, shape.query_heads, width, layer_attention_.data());
            row.layer_attention = layer_rows ? layer_attention_.data() : nullptr;
            row.query_attention = query_rows ? query_attention.data() : nullptr;
            for (std::size_t a = 0; a < shape.kv_heads; ++a) {
                if (with_attention)
                    mean_of_rows(of_head(a * group), block_queries * stride, group, width, attention_[a].data());
                if (query_rows)
                    for (std::size_t g = 0; g < group; ++g)
                        std::copy_n(of_head(a * group + g), width, query_attention.data() + g * stride);
                row.attention = attention_[a].data();
                row.key_norm = key_norms_[a].data();
                row.tensors = &tensors[a];
                board_.update(a, row, left);
            }
        }
    }
}

std::vector<float> wov_norms(const LayerArrays& layer, std::span<const float> o_proj) {
    const LayerShape& shape = layer.shape;
    const std::size_t width = shape.query_heads * shape.dim, hidden = o_proj.size() / width;
    const std::size_t stride = padded_columns(shape.tokens);
    AlignedFloats values(shape.dim * stride), products(block_queries * stride);
    std::vector<float> norms(shape.query_heads * shape.tokens);
    std::vector<double> sums(shape.tokens);
    for (std::size_t h = 0; h < shape.query_heads; ++h) {
        if (h % shape.group() == 0)
            transpose(layer.value(h / shape.group(), 0), shape.dim, shape.tokens, shape.dim, values.data(), stride);
        std::fill(sums.begin(), sums.end(), 0.0);
        for (std::size_t first = 0; first < hidden; first += block_queries) {
            const std::size_t count = std::min(block_queries, hidden - first);
            matmul(o_proj.data() + first * width + h * shape.dim, width, values.data(), stride, products.data(), stride,
                   count, shape.dim, stride);
            for (std::size_t r = 0; r < count; ++r)
                for (std::size_t i = 0; i < shape.tokens; ++i)
                    sums[i] += static_cast<double>(std::fabs(products[r * stride + i]));
        }
        for (std::size_t i = 0; i < shape.tokens; ++i) norms[h * shape.tokens + i] = static_cast<float>(sums[i]);
    }
    return norms;
}

} // namespace evictlab
