// SPDX-License-Identifier: MIT
#include <algorithm>

#include "framework/columns/column.hpp"

namespace evictlab::columns {
namespace {

void mean(const double* base, std::size_t base_stride, std::size_t heads, std::size_t tokens, double* out,
          std::size_t out_stride) {
    double sum = 0;
    for (std::size_t h = 0; h < heads; ++h)
        for (std::size_t i = 0; i < tokens; ++i) sum += base[h * base_stride + i];
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
