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

void PromptColumns::feed(const LayerView& view, const AttentionRows* attention, const ColumnDemand& demand) {
    const LayerShape& shape = view.shape;
    // Columns that follow from no query are fed rows without attention, and need no queries at all.
    const bool with_attention = demand.queries > 0;
    const std::size_t n = view.prompt, stride = with_attention ? attention->stride() : 0, group = shape.group();
    std::vector<HeadTensors> tensors;
    Stopwatch watch;
    for (std::size_t a = 0; a < shape.kv_heads; ++a) {
        key_norms_.push_back(view.key_norms(a, n));
        attention_.emplace_back(stride);
        tensors.push_back(view.head(a, n));
    }
    norm_seconds_ = watch.lap();
    AlignedFloats rows(shape.query_heads * block_queries * stride);
    layer_attention_.resize(demand.layer_history > 0 ? stride : 0);
    std::vector<double> query_attention(demand.query_rows_history > 0 ? group * stride : 0);
    RowContext row{.layer = view.layer, .num_layers = view.num_layers};
    row.sliding_window = view.sliding_window;
    row.position = ages_.position();
    row.token_type = view.token_type;
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

} // namespace evictlab
