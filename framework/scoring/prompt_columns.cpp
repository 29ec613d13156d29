// SPDX-License-Identifier: MIT
#include "framework/scoring/prompt_columns.hpp"

#include <algorithm>
#include <numeric>
#include <optional>

#include "framework/attention/matmul.hpp"
#include "framework/attention/softmax.hpp"
#include "framework/scoring/stopwatch.hpp"

namespace evictlab {
namespace {

constexpr std::size_t block_queries = 32;

/// Whether a column is another one or made of it.
bool reads(ColumnId id, std::string_view name) {
    for (auto at = std::optional(id); at; at = columns::base(*at))
        if (columns::name(*at) == name) return true;
    return false;
}

} // namespace

PromptColumns::PromptColumns(const LayerView& view, const AttentionRows* rows, std::span<const ColumnId> ids,
                             bool measure_time)
    : board_(ids, view.shape.kv_heads, view.shape.tokens), ages_(view.prompt) {
    if (measure_time) board_.measure_time();
    feed(view, rows, demand_of(ids));
    if (measure_time) board_.finish();
}

double PromptColumns::seconds(std::span<const ColumnId> ids) const {
    const ColumnDemand demand = demand_of(ids);
    const std::size_t rows = demand.queries > 0 ? std::min(demand.history, row_seconds_.size()) : 0;
    double sum = std::accumulate(row_seconds_.end() - static_cast<std::ptrdiff_t>(rows), row_seconds_.end(), 0.0);
    for (const ColumnId id : ids)
        if (reads(id, "key_norm")) return sum + norm_seconds_ + board_.seconds(ids);
    return sum + board_.seconds(ids);
}

/// What the row's tokens are beside their attention.
void PromptColumns::place(const LayerView& view, std::size_t head, RowContext& row) {
    row.token_type = view.token_type + head * view.token_type_stride;
    if (!view.positions) {
        row.position = ages_.position();
        row.relative_pos = ages_.relative_pos(row.query);
        return;
    }
    row.position = view.positions + head * view.positions_stride;
    ages_of_.resize(view.shape.kv_heads, std::vector<double>(padded(view.prompt)));
    for (std::size_t i = 0; i < row.tokens; ++i) ages_of_[head][i] = static_cast<double>(row.query) - row.position[i];
    row.relative_pos = ages_of_[head].data();
}

/// The mean over all query heads of the layer for the tokens of each, those of a head that no longer caches it
/// counting 0.
void PromptColumns::add_up_layer(const LayerView& view, const float* rows, std::size_t head_stride,
                                 std::size_t stride) {
    const LayerShape& shape = view.shape;
    std::vector<double> by_position(view.seen);
    const auto position = [&](std::size_t a, std::size_t i) {
        return static_cast<std::size_t>(view.positions[a * view.positions_stride + i]);
    };
    for (std::size_t h = 0; h < shape.query_heads; ++h)
        for (std::size_t i = 0; i < shape.tokens; ++i)
            by_position[position(h / shape.group(), i)] += static_cast<double>(rows[h * head_stride + i]);
    for (std::size_t a = 0; a < shape.kv_heads; ++a)
        for (std::size_t i = 0; i < shape.tokens; ++i)
            layer_attention_[a * stride + i] = by_position[position(a, i)] / static_cast<double>(shape.query_heads);
}

void PromptColumns::feed(const LayerView& view, const AttentionRows* attention, const ColumnDemand& demand) {
    const LayerShape& shape = view.shape;
    // Columns that follow from no query are fed rows without attention, and need no queries at all.
    const bool with_attention = demand.queries > 0;
    const std::size_t n = view.seen_tokens(), stride = with_attention ? attention->stride() : 0, group = shape.group();
    std::vector<HeadTensors> tensors;
    Stopwatch watch;
    for (std::size_t a = 0; a < shape.kv_heads; ++a) {
        key_norms_.push_back(view.key_norms(a, view.prompt));
        attention_.emplace_back(stride);
        tensors.push_back(view.head(a, n));
    }
    norm_seconds_ = watch.lap();
    AlignedFloats rows(shape.query_heads * block_queries * stride);
    layer_attention_.resize(demand.layer_history > 0 ? (view.positions ? shape.kv_heads : 1) * stride : 0);
    std::vector<double> query_attention(demand.query_rows_history > 0 ? group * stride : 0);
    RowContext row{.layer = view.layer, .num_layers = view.num_layers};
    row.sliding_window = view.sliding_window;
    row.group = group;
    row.query_stride = stride;
    for (std::size_t first = n - std::min(n, demand.history); first < n; first += block_queries) {
        const std::size_t count = std::min(block_queries, n - first);
        watch.lap();
        for (std::size_t h = 0; h < shape.query_heads && with_attention; ++h)
            attention->compute(h, first, count, rows.data() + h * block_queries * stride);
        row_seconds_.insert(row_seconds_.end(), count, watch.lap() / static_cast<double>(count));
        for (std::size_t r = 0; r < count; ++r) {
            row.query = first + r;
            const std::size_t left = n - row.query;
            const auto of_head = [&](std::size_t h) { return rows.data() + (h * block_queries + r) * stride; };
            const bool layer_rows = left <= demand.layer_history, query_rows = left <= demand.query_rows_history;
            if (layer_rows && view.positions)
                add_up_layer(view, of_head(0), block_queries * stride, stride);
            else if (layer_rows)
                mean_of_rows(of_head(0), block_queries * stride, shape.query_heads, padded(row.query + 1),
                             layer_attention_.data());
            row.query_attention = query_rows ? query_attention.data() : nullptr;
            for (std::size_t a = 0; a < shape.kv_heads; ++a) {
                row.tokens = view.tokens_before(a, row.query + 1);
                const std::size_t width = padded(row.tokens);
                place(view, a, row);
                row.layer_attention =
                    layer_rows ? layer_attention_.data() + (view.positions ? a * stride : 0) : nullptr;
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

} // namespace evictlab
