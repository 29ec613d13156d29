// SPDX-License-Identifier: MIT
#include <algorithm>

#include "framework/columns/column.hpp"
#include "framework/columns/layer_sum.hpp"

namespace evictlab::columns {
namespace {

void mean(const double* base, std::size_t base_stride, std::size_t heads, std::size_t tokens, double* out,
          std::size_t out_stride) {
    const double sum = layer_sum(base, base_stride, heads, tokens);
    for (std::size_t h = 0; h < heads; ++h)
        std::fill_n(out + h * out_stride, tokens, sum / static_cast<double>(heads * tokens));
}

} // namespace

ColumnInfo describe_layer_mean() {
    ColumnInfo info{"layer_mean",
                    "mean of another column's values over all heads and tokens of the layer, for each token the same: "
                    "layer_mean:COLUMN, as in value_norm/layer_mean:value_norm",
                    ColumnKind::token};
    info.derive = mean;
    return info;
}

} // namespace evictlab::columns
