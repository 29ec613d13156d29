// SPDX-License-Identifier: MIT
#include <algorithm>

#include "framework/columns/column.hpp"
#include "framework/columns/layer_sum.hpp"

namespace evictlab::columns {
namespace {

void mean(const double* base, std::size_t base_stride, std::size_t heads, std::size_t tokens, double* out,
          std::size_t out_stride) {
    for (std::size_t h = 0; h < heads; ++h) {
        const double sum = layer_sum(base + h * base_stride, base_stride, 1, tokens);
        std::fill_n(out + h * out_stride, tokens, sum / static_cast<double>(tokens));
    }
}

} // namespace

ColumnInfo describe_head_mean() {
    ColumnInfo info{
        "head_mean",
        "mean of another column's values over the tokens of its head, for each token the same: "
        "head_mean:COLUMN, as head_mean:defensive_attn, by which heads whose queries look at many different "
        "tokens may have more of a budget",
        ColumnKind::token};
    info.derive = mean;
    return info;
}

} // namespace evictlab::columns
