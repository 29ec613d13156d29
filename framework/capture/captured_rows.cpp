// SPDX-License-Identifier: MIT
#include "framework/capture/captured_rows.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "framework/capture/capture_kernels.hpp"
#include "framework/suite/row_kernels.hpp"

namespace evictlab {
namespace {

class CapturedRows final : public LayerReader {
public:
    explicit CapturedRows(LayerTensors layer)
        : shape_(layer.shape), scale_(layer.softmax_scale), window_(layer.sliding_window), queries_(std::move(layer.q)),
          stride_(padded(shape_.tokens)), keys_(shape_.kv_heads * shape_.dim * stride_),
          key_norm_(shape_.kv_heads * stride_), rows_(shape_.kv_heads * stride_), row_(stride_) {
        std::ranges::fill(keys_, 0.0f);
        for (std::size_t head = 0; head < shape_.kv_heads; ++head)
            for (std::size_t token = 0; token < shape_.tokens; ++token) {
                const float* const key = layer.k.data() + (head * shape_.tokens + token) * shape_.dim;
                double squares = 0;
                for (std::size_t t = 0; t < shape_.dim; ++t) {
                    keys_[(head * shape_.dim + t) * stride_ + token] = key[t];
                    squares += static_cast<double>(key[t]) * key[t];
                }
                key_norm_[head * stride_ + token] = std::sqrt(squares);
            }
    }

    const double* key_norm() const override { return key_norm_.data(); }
    std::size_t head_stride() const override { return stride_; }

    const double* next_row() override {
        const std::size_t query = next_query_++;
        const std::size_t first = window_ > 0 && query >= window_ ? query + 1 - window_ : 0;
        for (std::size_t head = 0; head < shape_.kv_heads; ++head) mean_row(query, first, head);
        return rows_.data();
    }

private:
    void mean_row(std::size_t query, std::size_t first, std::size_t kv_head) {
        double* const mean = rows_.data() + kv_head * stride_;
        const std::size_t seen = query + 1 - first;
        std::fill_n(mean, padded(query + 1), 0.0);
        for (std::size_t h = kv_head * shape_.group(); h < (kv_head + 1) * shape_.group(); ++h) {
            const float* const q = queries_.data() + (h * shape_.tokens + query) * shape_.dim;
            scaled_products(q, keys_.data() + kv_head * shape_.dim * stride_ + first, stride_, shape_.dim, scale_, 0,
                            seen, row_.data());
            softmax(seen, row_.data());
            for (std::size_t j = 0; j < seen; ++j) mean[first + j] += row_[j];
        }
        const auto heads = static_cast<double>(shape_.group());
        for (std::size_t j = first; j <= query; ++j) mean[j] /= heads;
    }

    LayerShape shape_;
    double scale_;
    std::size_t window_;
    AlignedFloats queries_;
    std::size_t stride_;
    AlignedFloats keys_; ///< [kv_heads][dim][stride]: a dimension of all keys lies together
    std::vector<double> key_norm_, rows_, row_;
    std::size_t next_query_ = 0;
};

} // namespace

std::unique_ptr<LayerReader> make_captured_rows(LayerTensors layer) {
    return std::make_unique<CapturedRows>(std::move(layer));
}

} // namespace evictlab
