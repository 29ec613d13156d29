// SPDX-License-Identifier: MIT
#include "framework/columns/column.hpp"

namespace evictlab::columns {
namespace {

void share(const double* base, std::size_t base_stride, std::size_t heads, std::size_t tokens, double* out,
           std::size_t out_stride) {
    for (std::size_t i = 0; i < tokens; ++i) {
        double sum = 0;
        for (std::size_t h = 0; h < heads; ++h) sum += base[h * base_stride + i];
        for (std::size_t h = 0; h < heads; ++h)
            out[h * out_stride + i] = sum == 0 ? 0 : base[h * base_stride + i] / sum;
    }
}

} // namespace

ColumnInfo describe_head_share() {
    ColumnInfo info{"head_share",
                    "another column's value over the sum of those of all KV heads of the layer at the same token, 0 "
                    "where that is 0: head_share:COLUMN; head_share:wov_norm is DefensiveKV's",
                    ColumnKind::token};
    info.derive = share;
    info.across_heads = true;
    return info;
}

} // namespace evictlab::columns
