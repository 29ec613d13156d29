// SPDX-License-Identifier: MIT
#include "framework/attention/wov_norms.hpp"

#include <algorithm>
#include <cmath>

#include "framework/attention/matmul.hpp"

namespace evictlab {
namespace {

constexpr std::size_t block_rows = 32; // of the projection, whose products are made together

} // namespace

std::vector<float> wov_norms(const LayerView& layer, std::span<const float> o_proj) {
    const LayerShape& shape = layer.shape;
    const std::size_t width = shape.query_heads * shape.dim, hidden = o_proj.size() / width;
    const std::size_t stride = padded_columns(shape.tokens);
    AlignedFloats values(shape.dim * stride), products(block_rows * stride);
    std::vector<float> norms(shape.query_heads * shape.tokens);
    std::vector<double> sums(shape.tokens);
    for (std::size_t h = 0; h < shape.query_heads; ++h) {
        if (h % shape.group() == 0)
            transpose(layer.value(h / shape.group(), 0), shape.dim, shape.tokens, shape.dim, values.data(), stride);
        std::fill(sums.begin(), sums.end(), 0.0);
        for (std::size_t first = 0; first < hidden; first += block_rows) {
            const std::size_t count = std::min(block_rows, hidden - first);
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
