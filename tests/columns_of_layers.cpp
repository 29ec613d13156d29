// Columns that follow from a layer's own softmax scale and sliding window, held to plain double arithmetic.
// SPDX-License-Identifier: MIT
#include <algorithm>
#include <cmath>

#include "framework/scoring/cached_head.hpp"
#include "framework/scoring/prompt_columns.hpp"
#include "tests/support/captured_reference.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/made_layer.hpp"

using namespace evictlab;
using namespace evictlab::test;

namespace {

void add_shares(const Numbers& masses, double weight, Numbers& out) {
    double total = 0;
    for (const double mass : masses) total += mass;
    for (std::size_t i = 0; i < out.size() && total > 0; ++i) out[i] += masses[i] / total * weight;
}

/// Of the tokens that are cached after `seen` queries.
Numbers replayed(const OwnedLayer& layer, const std::vector<std::size_t>& cached, std::size_t seen, std::size_t head,
                 std::size_t window, std::size_t count) {
    Numbers values(cached.size());
    const std::size_t group = layer.shape.group();
    for (std::size_t g = 0; g < group; ++g)
        for (std::size_t i = 0; i < count; ++i) {
            const std::size_t from = seen - window + i * window / count;
            const Numbers q = turned(layer, query(layer, head * group + g, from), {double(seen + i - from)});
            Numbers masses;
            for (const std::size_t j : cached)
                masses.push_back(
                    sees(layer, seen + i, j) ? std::exp(product(layer, q, head, j) * double(layer.softmax_scale)) : 0);
            add_shares(masses, 1 / double(group * count), values);
        }
    return values;
}

Numbers expected(const OwnedLayer& layer, const std::vector<std::size_t>& cached, std::size_t seen, std::size_t head,
                 std::size_t future, std::size_t sinks, double scale, bool covariance) {
    Numbers values(cached.size());
    const std::size_t group = layer.shape.group(), dim = layer.shape.dim;
    for (std::size_t g = 0; g < group; ++g) {
        std::vector<Numbers> before; // RoPE
        Numbers mean(dim);
        for (std::size_t i = sinks; i < seen; ++i) {
            before.push_back(turned(layer, query(layer, head * group + g, i), {-double(i)}));
            for (double& x : before.back()) x /= double(layer.rope_scale);
            for (std::size_t x = 0; x < dim; ++x) mean[x] += before.back()[x] / double(seen - sinks);
        }
        Numbers masses;
        for (const std::size_t j : cached) {
            std::vector<double> positions;
            for (std::size_t p = seen; p < seen + future; ++p)
                if (sees(layer, p, j)) positions.push_back(double(p));
            masses.push_back(0);
            if (j < sinks || positions.empty()) continue;
            const auto along = [&](Numbers q) {
                q = turned(layer, q, positions);
                return product(layer, q, head, j) * double(layer.rope_scale) * scale;
            };
            double logit = along(mean);
            for (Numbers q : before) {
                for (std::size_t x = 0; x < dim; ++x) q[x] -= mean[x];
                if (covariance) logit += along(q) * along(q) / 2 / double(before.size());
            }
            masses.back() = std::exp(logit) * double(positions.size()) / double(future);
        }
        add_shares(masses, 1 / double(group), values);
    }
    return values;
}

Numbers observed(const OwnedLayer& layer, std::size_t seen, std::size_t head) {
    const SlowLayer slow(layer, seen, {});
    Numbers sums = slow.column("cumulative_attn")[head];
    for (std::size_t j = 0; j < seen; ++j) {
        double queries = 0;
        for (std::size_t i = j; i < seen; ++i) queries += sees(layer, i, j);
        sums[j] /= queries;
    }
    return sums;
}

} // namespace

TEST_CASE("at the end of a prompt, columns know the layer's softmax scale and sliding window") {
    const std::size_t window = GENERATE(std::size_t{0}, std::size_t{1}, std::size_t{2}, std::size_t{9}, std::size_t{30},
                                        std::size_t{49}, std::size_t{200});
    const float scale = GENERATE(0.05F, 0.4F, 1.3F);
    const OwnedLayer layer = made_layer(window, scale);
    const AttentionRows rows(layer.view());
    const std::size_t n = 40;
    const std::vector<double> types(padded(50));
    LayerView view = layer.view();
    view.prompt = n;
    view.token_type = types.data();
    const auto ids = interned({"observed_attn", "expected_attn", "expected_attn:future=20:sinks=2:mean",
                               "expected_attn:future=1:by_dim", "replayed_attn:16", "replayed_attn:all:count=7"});
    PromptColumns computed(view, &rows, ids);
    std::vector<std::size_t> cached(n);
    for (std::size_t j = 0; j < n; ++j) cached[j] = j;
    const double own = double(scale), by_dim = 1 / std::sqrt(6.0);
    INFO("window " << window << ", scale " << scale);
    for (std::size_t a = 0; a < 2; ++a) {
        const Numbers wanted[] = {observed(layer, n, a),
                                  expected(layer, cached, n, a, 512, 4, own, true),
                                  expected(layer, cached, n, a, 20, 2, own, false),
                                  expected(layer, cached, n, a, 1, 4, by_dim, true),
                                  replayed(layer, cached, n, a, 16, 16),
                                  replayed(layer, cached, n, a, n, 7)};
        for (std::size_t c = 0; c < ids.size(); ++c)
            check(computed.columns().view(c, a).data, wanted[c], columns::name(ids[c]));
    }
}

TEST_CASE("while decoding, they know them of what is still cached") {
    const std::size_t window = GENERATE(std::size_t{0}, std::size_t{12}, std::size_t{33});
    const OwnedLayer layer = made_layer(window, 0.7F);
    const std::vector<double> types(padded(50));
    LayerView view = layer.view();
    view.prompt = 40;
    view.token_type = types.data();
    const auto ids = interned({"expected_attn:future=25", "replayed_attn:10"});
    ColumnBoard board(ids, 1, 50);
    CachedHead head(view, 1);
    const std::vector<std::size_t> cached{0, 3, 4, 11, 12, 20, 29, 30, 31, 38, 39};
    for (const std::size_t position : cached) head.add(position);
    head.attend(39);
    board.update(0, head.row());
    INFO("window " << window);
    check(board.view(0, 0).data, expected(layer, cached, 40, 1, 25, 4, double(0.7F), true), "expected_attn");
    check(board.view(1, 0).data, replayed(layer, cached, 40, 1, 10, 10), "replayed_attn");
}
