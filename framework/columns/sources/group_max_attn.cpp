// SPDX-License-Identifier: MIT
#include <algorithm>
#include <span>

#include "base/numeric/pooling.hpp"
#include "framework/attention/softmax.hpp"
#include "framework/columns/latest_queries.hpp"
#include "framework/columns/states.hpp"
#include "framework/columns/window.hpp"

namespace evictlab::columns {
namespace {

struct GroupMaximum {
    std::size_t window = 8, kernel = 1;

    std::size_t latest_queries() const { return window; }

    void operator()(const RowContext& row, double* out) const {
        const HeadTensors& t = *row.tensors;
        LatestQueries queries(row, window);
        const std::size_t before = queries.before(), stride = queries.stride();
        if (before == 0) return;
        AlignedFloats highest(queries.count() * stride);
        for (std::size_t h = 0; h < t.group; ++h) {
            const float* const products = queries.products(h);
            if (h == 0) std::copy_n(products, highest.size(), highest.begin());
            for (std::size_t i = 0; h > 0 && i < highest.size(); ++i) highest[i] = std::max(highest[i], products[i]);
        }
        std::vector<double> mean(before);
        for (std::size_t i = 0; i < queries.count(); ++i) {
            const std::size_t begin = queries.seen_by(i).begin;
            if (begin >= before) break; // the later ones see even less
            float* const attention = highest.data() + i * stride;
            softmax(attention, begin, before, stride, t.softmax_scale);
            for (std::size_t j = begin; j < before; ++j)
                mean[j] += static_cast<double>(attention[j]) / static_cast<double>(queries.count());
        }
        numeric::pool(mean, kernel, numeric::Pooling::maximum, out);
    }
};

GroupMaximum read(std::string_view text) {
    Arguments arguments("group_max_attn", text);
    GroupMaximum rule;
    rule.window = arguments.number("the window", rule.window, 1, longest_window);
    rule.kernel = arguments.pool(1);
    arguments.end("group_max_attn:8 or group_max_attn:8:pool=7");
    return rule;
}

} // namespace

ColumnInfo describe_group_max_attn() {
    return {"group_max_attn",
            "softmax, over the tokens before the last W queries alone, of the highest q.k of the KV head's query "
            "heads, mean over these queries; 0 in the window (R-KV): group_max_attn:W (8); :pool=K for the highest of "
            "the K nearest tokens",
            ColumnKind::token,
            [](std::string_view arguments, std::size_t tokens) -> std::unique_ptr<ColumnState> {
                return std::make_unique<TensorRule<GroupMaximum>>(tokens, read(arguments));
            },
            ColumnNeeds::tensors,
            last_query,
            ColumnQueries::all};
}

} // namespace evictlab::columns
