// SPDX-License-Identifier: MIT
#include "framework/scoring/cached_head.hpp"

#include <algorithm>

#include "framework/attention/matmul.hpp"
#include "framework/attention/softmax.hpp"

namespace evictlab {
namespace {

/// Moves the kept items, `width` values each, to the front.
template <class Array>
void compact(Array& values, std::size_t begin, std::size_t width, std::span<const std::uint32_t> slots) {
    for (std::size_t i = 0; i < slots.size(); ++i)
        if (slots[i] != i)
            std::copy_n(values.begin() + static_cast<std::ptrdiff_t>(begin + slots[i] * width), width,
                        values.begin() + static_cast<std::ptrdiff_t>(begin + i * width));
}

/// As key_norms() has it: keys may come one by one.
double key_norm(const LayerView& view, std::size_t head, std::size_t position) {
    LayerView from = view;
    from.k += position * view.shape.dim;
    return from.key_norms(head, 1).front();
}

} // namespace

CachedHead::CachedHead(const LayerView& view, std::size_t kv_head)
    : view_(view), shape_(view.shape), head_(kv_head), stride_(padded_columns(shape_.tokens)),
      output_stride_(padded_columns(shape_.dim)), position_(stride_), relative_(stride_), key_norm_(stride_),
      token_type_(stride_), k_(shape_.tokens * shape_.dim), v_(shape_.tokens * shape_.dim + column_block),
      keys_(shape_.dim * stride_), rows_(shape_.group() * stride_), outputs_(shape_.group() * output_stride_),
      attention_(stride_), query_attention_(shape_.group() * stride_) {
    std::fill(keys_.begin(), keys_.end(), 0.0F);
    std::fill(v_.begin(), v_.end(), 0.0F); // a product may read columns behind the last token's
    if (view.wov_norm) wov_norm_.assign(shape_.group() * stride_, 0.0F);
}

void CachedHead::add(std::size_t position) {
    const std::size_t dim = shape_.dim, at = tokens_++;
    const float* key = view_.key(head_, position);
    const float* value = view_.value(head_, position);
    std::copy_n(key, dim, k_.data() + at * dim);
    std::copy_n(value, dim, v_.data() + at * dim);
    for (std::size_t x = 0; x < dim; ++x) keys_[x * stride_ + at] = key[x];
    position_[at] = static_cast<double>(position);
    key_norm_[at] = key_norm(view_, head_, position);
    token_type_[at] = view_.token_type[position];
    for (std::size_t g = 0; !wov_norm_.empty() && g < group(); ++g)
        wov_norm_[g * stride_ + at] = view_.wov_norm[(head_ * group() + g) * shape_.tokens + position];
}

void CachedHead::keep(std::span<const std::uint32_t> slots) {
    compact(k_, 0, shape_.dim, slots);
    compact(v_, 0, shape_.dim, slots);
    for (std::size_t x = 0; x < shape_.dim; ++x) compact(keys_, x * stride_, 1, slots);
    compact(position_, 0, 1, slots);
    compact(key_norm_, 0, 1, slots);
    compact(token_type_, 0, 1, slots);
    for (std::size_t g = 0; !wov_norm_.empty() && g < group(); ++g) compact(wov_norm_, g * stride_, 1, slots);
    tokens_ = slots.size();
}

void CachedHead::attend(std::size_t position) {
    const std::size_t dim = shape_.dim;
    query_ = position;
    matmul(view_.query(head_ * group(), position), view_.q_stride, keys_.data(), stride_, rows_.data(), stride_,
           group(), dim, padded_columns(tokens_));
    std::size_t first = 0; // outside of a sliding window
    if (view_.sliding_window > 0)
        while (this->position(first) + view_.sliding_window <= position) ++first;
    for (std::size_t g = 0; g < group(); ++g)
        softmax(rows_.data() + g * stride_, first, tokens_, stride_, view_.softmax_scale);
    matmul(rows_.data(), stride_, v_.data(), dim, outputs_.data(), output_stride_, group(), tokens_, output_stride_);
}

RowContext CachedHead::row() {
    const std::size_t width = padded(tokens_);
    for (std::size_t i = 0; i < tokens_; ++i) relative_[i] = static_cast<double>(query_) - position_[i];
    mean_of_rows(rows_.data(), stride_, group(), width, attention_.data());
    for (std::size_t g = 0; g < group(); ++g)
        std::copy_n(rows_.data() + g * stride_, width, query_attention_.data() + g * stride_);
    tensors_ = view_.head(head_, query_ + 1);
    tensors_.k = k_.data();
    tensors_.v = v_.data();
    tensors_.wov_norm = wov_norm_.empty() ? nullptr : wov_norm_.data();
    tensors_.wov_stride = stride_;
    RowContext row{.layer = view_.layer, .num_layers = view_.num_layers, .query = query_, .tokens = tokens_};
    row.sliding_window = view_.sliding_window;
    row.attention = attention_.data();
    row.position = position_.data();
    row.relative_pos = relative_.data();
    row.key_norm = key_norm_.data();
    row.token_type = token_type_.data();
    row.group = group();
    row.query_attention = query_attention_.data();
    row.query_stride = stride_;
    row.tensors = &tensors_;
    return row;
}

} // namespace evictlab
