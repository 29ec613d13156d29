// SPDX-License-Identifier: MIT
#include "framework/attention/wo_grams.hpp"

#include "base/numeric/sums.hpp"

namespace evictlab {

std::vector<double> wo_grams(const LayerShape& shape, std::span<const float> o_proj) {
    const std::size_t dim = shape.dim, width = shape.query_heads * dim, hidden = o_proj.size() / width;
    std::vector<double> grams(shape.query_heads * dim * dim), row(dim), sums(dim);
    for (std::size_t h = 0; h < shape.query_heads; ++h)
        for (std::size_t r = 0; r < hidden; ++r) {
            for (std::size_t x = 0; x < dim; ++x) row[x] = static_cast<double>(o_proj[r * width + h * dim + x]);
            numeric::accumulate_outer(row.data(), dim, sums.data(), grams.data() + h * dim * dim);
        }
    return grams;
}

} // namespace evictlab
