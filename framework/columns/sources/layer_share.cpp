// SPDX-License-Identifier: MIT
#include "framework/columns/column.hpp"
#include "framework/columns/layer_sum.hpp"

namespace evictlab::columns {
namespace {

void share(const double* base, std::size_t base_stride, std::size_t heads, std::size_t tokens, double* out,
           std::size_t out_stride) {
    const double sum = layer_sum(base, base_stride, heads, tokens);
    for (std::size_t h = 0; h < heads; ++h)
        for (std::size_t i = 0; i < tokens; ++i)
            out[h * out_stride + i] = sum == 0 ? 0 : base[h * base_stride + i] / sum;
}

} // namespace

ColumnInfo describe_layer_share() {
    ColumnInfo info{"layer_share",
                    "another column's value over the sum of those of all heads and tokens of the layer, 0 where that "
                    "is 0: layer_share:COLUMN, as layer_share:observed_attn",
                    ColumnKind::token};
    info.derive = share;
    return info;
}

} // namespace evictlab::columns
