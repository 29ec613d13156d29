// SPDX-License-Identifier: MIT
#include "framework/attention/captured_rows.hpp"

#include <algorithm>
#include <utility>

#include "framework/attention/attention_rows.hpp"
#include "framework/attention/softmax.hpp"

namespace evictlab {
namespace {

constexpr std::size_t block = 32; // queries whose rows are computed together

class CapturedRows final : public LayerReader {
public:
    explicit CapturedRows(OwnedLayer layer)
        : layer_(std::move(layer)), attention_(layer_.view()), stride_(padded(layer_.shape.tokens)),
          key_norm_(layer_.shape.kv_heads * stride_), rows_(layer_.shape.kv_heads * stride_),
          by_query_head_(layer_.shape.query_heads * block * attention_.stride()) {
        for (std::size_t head = 0; head < layer_.shape.kv_heads; ++head)
            std::ranges::copy(attention_.layer().key_norms(head, layer_.shape.tokens),
                              key_norm_.begin() + static_cast<std::ptrdiff_t>(head * stride_));
    }

    const double* key_norm() const override { return key_norm_.data(); }
    std::size_t head_stride() const override { return stride_; }
    std::size_t sliding_window() const override { return layer_.sliding_window; }

    const double* next_row() override {
        const std::size_t query = next_query_++, in_block = query % block;
        if (in_block == 0) compute_block(query);
        const std::size_t head_size = block * attention_.stride(), group = layer_.shape.group();
        for (std::size_t head = 0; head < layer_.shape.kv_heads; ++head) {
            const float* const first = by_query_head_.data() + head * group * head_size;
            mean_of_rows(first + in_block * attention_.stride(), head_size, group, padded(query + 1),
                         rows_.data() + head * stride_);
        }
        return rows_.data();
    }

private:
    void compute_block(std::size_t first) {
        const std::size_t count = std::min(block, layer_.shape.tokens - first);
        for (std::size_t head = 0; head < layer_.shape.query_heads; ++head)
            attention_.compute(head, first, count, by_query_head_.data() + head * block * attention_.stride());
    }

    OwnedLayer layer_;
    AttentionRows attention_;
    std::size_t stride_;
    std::vector<double> key_norm_, rows_; ///< [kv_heads][stride]
    AlignedFloats by_query_head_;         ///< [query_heads][block][attention_.stride()]
    std::size_t next_query_ = 0;
};

} // namespace

std::unique_ptr<LayerReader> make_captured_rows(OwnedLayer layer) {
    return std::make_unique<CapturedRows>(std::move(layer));
}

} // namespace evictlab
