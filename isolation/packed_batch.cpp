// SPDX-License-Identifier: MIT
#include "isolation/packed_batch.hpp"

#include <fmt/format.h>

#include <cstring>
#include <new>

#include "base/error.hpp"
#include "base/numeric/aligned.hpp"
#include "isolation/row_memory.hpp"
#include "isolation/shared_memory.hpp"

namespace evictlab::isolation {
namespace {

constexpr std::size_t aligned(std::size_t bytes) { return (bytes + cache_line - 1) / cache_line * cache_line; }

} // namespace

void BatchWriter::clear() {
    end_ = begin_;
    output_end_ = output_margin;
    count_ = 0;
}

std::size_t BatchWriter::take(std::size_t bytes) {
    const std::size_t place = end_;
    if (bytes > input_.size() - end_ - cache_line)
        throw Error(fmt::format("a layer needs more than the {} MiB that a plugin's process can be given",
                                input_.size() >> 20));
    end_ = aligned(end_ + bytes);
    input_.reach(end_);
    return place;
}

/// Copies n values of each head, which are `stride` apart, and keeps the stride; heads that share them have one copy.
template <class T>
std::size_t BatchWriter::copy(const T* values, std::size_t heads, std::ptrdiff_t stride, std::size_t n) {
    if (!values) return 0;
    const std::size_t step = static_cast<std::size_t>(stride);
    const std::size_t copies = stride == 0 ? 1 : heads;
    const std::size_t place = take(((copies - 1) * step + n) * sizeof(T));
    auto* const to = reinterpret_cast<T*>(input_.data() + place);
    if (step == n)
        std::memcpy(to, values, copies * n * sizeof(T));
    else
        for (std::size_t h = 0; h < copies; ++h) std::memcpy(to + h * step, values + h * step, n * sizeof(T));
    return place;
}

void BatchWriter::add_column(PackedColumn& column, const double* values, std::size_t heads, std::ptrdiff_t stride,
                             std::size_t n) {
    const auto in_rows = rows_ ? rows_->place_of(values, heads, stride, n) : std::nullopt;
    column.at = in_rows ? *in_rows : copy(values, heads, stride, n);
    column.in_rows = in_rows ? 1 : 0;
    column.stride = stride;
}

std::size_t BatchWriter::add_tensors(const evl_tensors& t) {
    const std::size_t place = take(sizeof(PackedTensors)), n = t.tokens;
    auto* const packed = new (input_.data() + place) PackedTensors{t, 0, 0, 0, 0, 0, 0};
    packed->q = copy(t.q, t.query_heads, t.q_stride, n * t.dim);
    packed->k = copy(t.k, t.kv_heads, t.k_stride, n * t.dim);
    packed->v = copy(t.v, t.kv_heads, t.v_stride, n * t.dim);
    packed->rope_inv_freq = copy(t.rope_inv_freq, 1, 0, t.dim / 2);
    packed->wov_norm = copy(t.wov_norm, t.query_heads, t.wov_norm_stride, n);
    packed->window_attn = copy(t.window_attn, 1, 0, t.query_heads * t.window_queries * n);
    return place;
}

std::size_t BatchWriter::add_tables(const evl_batch& batch) {
    if (batch.table_count == 0) return 0;
    const std::size_t place = take(batch.table_count * sizeof(PackedTable));
    for (std::uint64_t i = 0; i < batch.table_count; ++i) {
        const evl_table& t = *batch.tables[i];
        auto* const packed = new (input_.data() + place + i * sizeof(PackedTable)) PackedTable{t, 0, 0};
        packed->layer_numbers = copy(t.layer_numbers, 1, 0, t.layers);
        packed->values = copy(t.values, 1, 0, t.rows * t.layers * t.heads);
    }
    return place;
}

std::size_t BatchWriter::add(const evl_batch& batch, std::size_t columns, const double* scores) {
    const std::size_t n = batch.tokens, heads = batch.heads;
    const std::size_t place = take(sizeof(PackedBatch) + columns * sizeof(PackedColumn)), scores_out = output_end_;
    output_end_ = aligned(output_end_ + heads * n * sizeof(double)) + output_margin;
    if (output_end_ > output_.size())
        throw Error(fmt::format("a layer's scores need more than the {} MiB that a plugin's process can give",
                                output_.size() >> 20));
    output_.reach(output_end_);
    auto* const packed_columns = reinterpret_cast<PackedColumn*>(input_.data() + place + sizeof(PackedBatch));
    for (std::size_t i = 0; i < columns; ++i)
        add_column(packed_columns[i], batch.columns[i], heads, batch.head_stride[i], n);
    const std::size_t tensors = batch.tensors ? add_tensors(*batch.tensors) : 0;
    const std::size_t tables = add_tables(batch);
    const std::size_t scores_in = scores ? copy(scores, 1, 0, heads * n) : 0;
    new (input_.data() + place) PackedBatch{batch.layer,
                                            batch.num_layers,
                                            batch.heads,
                                            batch.tokens,
                                            batch.sequence_len,
                                            batch.kept,
                                            batch.removed_fraction,
                                            columns,
                                            tensors,
                                            batch.table_count,
                                            tables,
                                            scores_in,
                                            scores_out,
                                            end_};
    ++count_;
    return scores_out;
}

std::size_t BatchReader::read(std::size_t place) {
    packed_ = at<PackedBatch>(place);
    const auto* const columns = reinterpret_cast<const PackedColumn*>(packed_ + 1);
    columns_.resize(packed_->columns);
    strides_.resize(packed_->columns);
    for (std::size_t i = 0; i < columns_.size(); ++i) {
        columns_[i] = columns[i].in_rows != 0 ? reinterpret_cast<const double*>(rows_ + columns[i].at)
                                              : at<double>(columns[i].at);
        strides_[i] = columns[i].stride;
    }
    if (packed_->tensors != 0) read_tensors(*at<PackedTensors>(packed_->tensors));
    read_tables(at<PackedTable>(packed_->tables), packed_->table_count);
    batch_ = {sizeof(evl_batch),
              packed_->layer,
              packed_->num_layers,
              packed_->heads,
              packed_->tokens,
              packed_->sequence_len,
              columns_.data(),
              strides_.data(),
              packed_->removed_fraction,
              packed_->kept,
              packed_->tensors != 0 ? &tensors_ : nullptr,
              packed_->table_count,
              packed_->table_count != 0 ? table_pointers_.data() : nullptr};
    return packed_->next;
}

void BatchReader::read_tables(const PackedTable* packed, std::size_t count) {
    tables_.clear();
    table_pointers_.clear();
    for (std::size_t i = 0; i < count; ++i) {
        evl_table& table = tables_.emplace_back(packed[i].table);
        table.layer_numbers = at<std::uint32_t>(packed[i].layer_numbers);
        table.values = at<float>(packed[i].values);
    }
    for (const evl_table& table : tables_) table_pointers_.push_back(&table);
}

void BatchReader::read_tensors(const PackedTensors& packed) {
    tensors_ = packed.tensors;
    tensors_.q = at<float>(packed.q);
    tensors_.k = at<float>(packed.k);
    tensors_.v = at<float>(packed.v);
    tensors_.rope_inv_freq = at<float>(packed.rope_inv_freq);
    tensors_.wov_norm = at<float>(packed.wov_norm);
    tensors_.window_attn = at<float>(packed.window_attn);
}

} // namespace evictlab::isolation
