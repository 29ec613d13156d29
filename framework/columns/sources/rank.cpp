// SPDX-License-Identifier: MIT
#include <algorithm>
#include <numeric>
#include <vector>

#include "framework/columns/column.hpp"

namespace evictlab::columns {
namespace {

/// 0 for the lowest and 1 for the highest of all heads and tokens of the layer; equals share the mean of their places.
void rank(const double* base, std::size_t base_stride, std::size_t heads, std::size_t tokens, double* out,
          std::size_t out_stride) {
    const std::size_t count = heads * tokens;
    std::vector<std::uint32_t> order(count);
    std::iota(order.begin(), order.end(), 0U);
    const auto value = [&](std::uint32_t i) { return base[i / tokens * base_stride + i % tokens]; };
    std::sort(order.begin(), order.end(),
              [&](std::uint32_t a, std::uint32_t b) { return value(a) != value(b) ? value(a) < value(b) : a < b; });
    const double last = count > 1 ? static_cast<double>(count - 1) : 1;
    for (std::size_t begin = 0; begin < count;) {
        std::size_t end = begin + 1;
        while (end < count && value(order[end]) == value(order[begin])) ++end;
        const double place = static_cast<double>(begin + end - 1) / 2 / last;
        for (; begin < end; ++begin) out[order[begin] / tokens * out_stride + order[begin] % tokens] = place;
    }
}

} // namespace

ColumnInfo describe_rank() {
    ColumnInfo info{"rank",
                    "place of another column's value among all heads and tokens of the layer, from 0 (lowest) to 1: "
                    "rank:COLUMN, as rank:window_attn:64",
                    ColumnKind::token};
    info.derive = rank;
    return info;
}

} // namespace evictlab::columns
