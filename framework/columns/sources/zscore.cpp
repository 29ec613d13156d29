// SPDX-License-Identifier: MIT
#include <algorithm>
#include <cmath>

#include "framework/columns/column.hpp"

namespace evictlab::columns {
namespace {

void standardize(const double* base, std::size_t base_stride, std::size_t heads, std::size_t tokens, double* out,
                 std::size_t out_stride) {
    const auto count = static_cast<double>(heads * tokens);
    double mean = 0, squares = 0;
    for (std::size_t h = 0; h < heads; ++h)
        for (std::size_t i = 0; i < tokens; ++i) mean += base[h * base_stride + i] / count;
    for (std::size_t h = 0; h < heads; ++h)
        for (std::size_t i = 0; i < tokens; ++i)
            squares += (base[h * base_stride + i] - mean) * (base[h * base_stride + i] - mean);
    const double deviation = count > 1 ? std::max(std::sqrt(squares / (count - 1)), 1e-6) : 1;
    for (std::size_t h = 0; h < heads; ++h)
        for (std::size_t i = 0; i < tokens; ++i)
            out[h * out_stride + i] = (base[h * base_stride + i] - mean) / deviation;
}

} // namespace

ColumnInfo describe_zscore() {
    ColumnInfo info{"zscore",
                    "another column's value, less its mean over all heads and tokens of the layer, over its standard "
                    "deviation there (divisor count - 1, at least 1e-6): zscore:COLUMN, as zscore:key_leverage",
                    ColumnKind::token};
    info.derive = standardize;
    return info;
}

} // namespace evictlab::columns
