// Columns that are computed from queries, keys and values at once, held to plain double arithmetic: with softmax scales
// and sliding windows of the layer's own, at the end of a prompt and of what is cached while decoding.
// SPDX-License-Identifier: MIT
#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>
#include <random>

#include "framework/attention/wo_grams.hpp"
#include "framework/scoring/cached_head.hpp"
#include "framework/scoring/prompt_columns.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/made_layer.hpp"

using namespace evictlab;
using namespace evictlab::test;

namespace {

/// One KV head with some of its tokens cached, after `seen` queries.
struct Cached {
    const OwnedLayer& layer;
    std::vector<std::size_t> tokens; ///< their positions
    std::size_t seen, head;

    std::size_t group() const { return layer.shape.group(); }
    Numbers vector(const AlignedFloats& all, std::size_t j) const {
        const float* x = all.data() + (head * layer.shape.tokens + tokens[j]) * layer.shape.dim;
        return {x, x + layer.shape.dim};
    }
    Numbers key(std::size_t j) const { return vector(layer.k, j); }
    Numbers value(std::size_t j) const { return vector(layer.v, j); }
    Numbers before_rope(const Numbers& x, std::size_t position) const {
        Numbers out = turned(layer, x, {-double(position)});
        for (double& each : out) each /= double(layer.rope_scale);
        return out;
    }
    double logit(std::size_t g, std::size_t position, std::size_t j) const {
        return product(layer, query(layer, head * group() + g, position), head, tokens[j]);
    }
    bool visible(std::size_t position, std::size_t j) const {
        return tokens[j] <= position && sees(layer, position, tokens[j]);
    }
    /// Softmax over the tokens that a query sees and that `counts`.
    Numbers attention(std::size_t g, std::size_t position, const std::function<bool(std::size_t)>& counts) const {
        Numbers masses;
        double total = 0;
        for (std::size_t j = 0; j < tokens.size(); ++j) {
            const bool in = visible(position, j) && counts(j);
            masses.push_back(in ? std::exp(logit(g, position, j) * double(layer.softmax_scale)) : 0);
            total += masses.back();
        }
        for (double& mass : masses) mass = total > 0 ? mass / total : 0;
        return masses;
    }
};

double dot(const Numbers& a, const Numbers& b) {
    double sum = 0;
    for (std::size_t x = 0; x < a.size(); ++x) sum += a[x] * b[x];
    return sum;
}

/// The solution of m x = b, by Gauss's elimination.
Numbers solved(std::vector<Numbers> m, Numbers b) {
    const std::size_t n = b.size();
    for (std::size_t c = 0; c < n; ++c)
        for (std::size_t r = c + 1; r < n; ++r) {
            const double factor = m[r][c] / m[c][c];
            for (std::size_t x = c; x < n; ++x) m[r][x] -= factor * m[c][x];
            b[r] -= factor * b[c];
        }
    for (std::size_t c = n; c-- > 0;) {
        for (std::size_t x = c + 1; x < n; ++x) b[c] -= m[c][x] * b[x];
        b[c] /= m[c][c];
    }
    return b;
}

bool all(std::size_t) { return true; }

/// Random, and with fewer rows than a head has channels, so that some changes come to nothing behind it.
std::vector<float> made_projection(const LayerShape& shape) {
    std::mt19937 random(5);
    std::normal_distribution<float> normal;
    std::vector<float> projection(5 * shape.query_heads * shape.dim);
    for (float& x : projection) x = normal(random);
    return projection;
}

/// W_o[h] x.
Numbers projected(const LayerShape& shape, std::size_t h, const Numbers& x) {
    const std::vector<float> projection = made_projection(shape);
    const std::size_t width = shape.query_heads * shape.dim;
    Numbers out(projection.size() / width);
    for (std::size_t r = 0; r < out.size(); ++r)
        for (std::size_t y = 0; y < x.size(); ++y) out[r] += double(projection[r * width + h * shape.dim + y]) * x[y];
    return out;
}

/// The change of the output, computed by leaving the token out; DropKV's epsilon keeps it small where nothing is left.
Numbers leave_one_out(const Cached& c, std::size_t window, bool behind_projection) {
    Numbers values(c.tokens.size());
    for (std::size_t g = 0; g < c.group(); ++g)
        for (std::size_t i = c.seen - window; i < c.seen; ++i)
            for (std::size_t j = 0; j < c.tokens.size(); ++j) {
                const Numbers with = c.attention(g, i, all);
                const Numbers without = c.attention(g, i, [&](std::size_t other) { return other != j; });
                if (with[j] == 0 || with[j] == 1) continue;
                const double damping = (1 - with[j]) / (1 - with[j] + 1e-6);
                Numbers change(c.layer.shape.dim);
                for (std::size_t x = 0; x < change.size(); ++x)
                    for (std::size_t t = 0; t < c.tokens.size(); ++t)
                        change[x] += (with[t] - without[t]) * c.value(t)[x];
                if (behind_projection) change = projected(c.layer.shape, c.head * c.group() + g, change);
                values[j] += dot(change, change) * damping * damping / double(c.group());
            }
    return values;
}

std::size_t before(const Cached& c, std::size_t window) {
    return std::size_t(std::ranges::count_if(c.tokens, [&](std::size_t p) { return p < c.seen - window; }));
}

Numbers pooled(const Numbers& values, std::size_t n, std::size_t kernel, bool maximum) {
    Numbers out(values.size());
    for (std::size_t j = 0; j < n; ++j)
        for (std::size_t t = 0; t < n; ++t)
            if ((t > j ? t - j : j - t) <= kernel / 2)
                out[j] = maximum ? std::max(out[j], values[t]) : out[j] + values[t] / double(kernel);
    return out;
}

Numbers group_max_attn(const Cached& c, std::size_t window, std::size_t kernel) {
    const std::size_t m = before(c, window);
    Numbers mean(c.tokens.size());
    for (std::size_t i = c.seen - window; i < c.seen; ++i) {
        Numbers masses(m);
        double total = 0;
        for (std::size_t j = 0; j < m; ++j) {
            double most = -HUGE_VAL;
            for (std::size_t g = 0; g < c.group(); ++g) most = std::max(most, c.logit(g, i, j));
            if (c.visible(i, j)) total += masses[j] = std::exp(most * double(c.layer.softmax_scale));
        }
        for (std::size_t j = 0; j < m && total > 0; ++j) mean[j] += masses[j] / total / double(window);
    }
    return pooled(mean, m, kernel, true);
}

Numbers defensive_attn(const Cached& c, std::size_t window, std::size_t kernel) {
    const std::size_t m = before(c, window);
    Numbers most(c.tokens.size());
    for (std::size_t g = 0; g < c.group(); ++g)
        for (std::size_t i = c.seen - window; i < c.seen; ++i) {
            const Numbers row = c.attention(g, i, all), pool = pooled(row, m, kernel, false);
            double mass = 0, left = 0;
            for (std::size_t j = 0; j < m; ++j) mass += row[j], left += pool[j];
            for (std::size_t j = 0; j < m && left > 0; ++j) most[j] = std::max(most[j], pool[j] * mass / left);
        }
    return most;
}

Numbers key_leverage(const Cached& c, std::size_t first, std::size_t last) {
    const std::size_t dim = c.layer.shape.dim;
    Numbers values(c.tokens.size()), mean(dim);
    std::vector<Numbers> keys, gram(dim, Numbers(dim));
    for (std::size_t j = first; j + last < c.tokens.size(); ++j) keys.push_back(c.before_rope(c.key(j), c.tokens[j]));
    for (const Numbers& key : keys)
        for (std::size_t x = 0; x < dim; ++x) mean[x] += key[x] / double(keys.size());
    for (Numbers& key : keys)
        for (std::size_t x = 0; x < dim; ++x) key[x] -= mean[x];
    for (std::size_t x = 0; x < dim; ++x) {
        gram[x][x] = 0.01;
        for (std::size_t y = 0; y < dim; ++y)
            for (const Numbers& key : keys) gram[x][y] += key[x] * key[y];
    }
    for (std::size_t j = 0; j < keys.size(); ++j) values[first + j] = dot(keys[j], solved(gram, keys[j]));
    return values;
}

Numbers non_causal_attn(const Cached& c, std::size_t chunk, std::size_t first, std::size_t last) {
    Numbers values(c.tokens.size());
    const std::size_t end = c.tokens.size() - last;
    for (std::size_t begin = first; begin < end; begin += chunk) {
        const std::size_t stop = std::min(end, begin + chunk);
        const double padding = double(begin + chunk - stop);
        for (std::size_t j = begin; j < stop; ++j) values[j] += padding / double(chunk);
        for (std::size_t g = 0; g < c.group(); ++g)
            for (std::size_t i = begin; i < stop; ++i) {
                double total = padding; // whose logits are 0
                for (std::size_t j = begin; j < stop; ++j) total += std::exp(c.logit(g, c.tokens[i], j));
                for (std::size_t j = begin; j < stop; ++j)
                    values[j] += std::exp(c.logit(g, c.tokens[i], j)) / total / double(c.group());
            }
    }
    return values;
}

Numbers capacity(const Cached& c, std::size_t tau, std::size_t future, std::size_t sinks) {
    const std::size_t dim = c.layer.shape.dim;
    Numbers values(c.tokens.size());
    std::vector<double> ahead;
    for (std::size_t p = c.seen; p < c.seen + future; ++p) ahead.push_back(double(p));
    for (std::size_t g = 0; g < c.group(); ++g) {
        Numbers mean(dim), weights(c.tokens.size());
        for (std::size_t i = sinks; i < c.seen; ++i) {
            const Numbers q = c.before_rope(query(c.layer, c.head * c.group() + g, i), i);
            for (std::size_t x = 0; x < dim; ++x) mean[x] += q[x] / double(c.seen - sinks);
        }
        mean = turned(c.layer, mean, ahead);
        double most = -1;
        for (std::size_t j = 0; j < c.tokens.size(); ++j) {
            weights[j] = dot(mean, c.key(j)) / std::sqrt(dot(mean, mean) * dot(c.key(j), c.key(j)));
            if (c.tokens[j] >= sinks) most = std::max(most, weights[j]);
        }
        std::vector<Numbers> matrix(dim, Numbers(dim));
        for (std::size_t x = 0; x < dim; ++x) matrix[x][x] = 1;
        for (std::size_t j = 0; j < c.tokens.size(); ++j) {
            weights[j] = c.tokens[j] < sinks ? 0 : std::exp(double(tau) * (weights[j] - most));
            for (std::size_t x = 0; x < dim && c.tokens[j] >= sinks; ++x)
                for (std::size_t y = 0; y < dim; ++y)
                    matrix[x][y] += (weights[j] + 1e-6) * c.value(j)[x] * c.value(j)[y];
        }
        for (std::size_t j = 0; j < c.tokens.size(); ++j)
            values[j] += weights[j] * dot(c.value(j), solved(matrix, c.value(j))) / double(c.group());
    }
    return values;
}

Numbers key_redundancy(const Cached& c) {
    const std::size_t n = c.tokens.size();
    std::vector<Numbers> cosines(n, Numbers(n));
    Numbers values(n);
    double total = 0;
    for (std::size_t i = 0; i < n; ++i) {
        std::size_t last = 0;
        for (std::size_t j = 0; j < n; ++j) {
            if (i != j)
                cosines[i][j] = dot(c.key(i), c.key(j)) / std::sqrt(dot(c.key(i), c.key(i)) * dot(c.key(j), c.key(j)));
            if (cosines[i][j] > 0.5) last = j;
        }
        cosines[i][last] = 0;
        for (std::size_t j = 0; j < n; ++j) values[j] += cosines[i][j] / double(n);
    }
    for (double& value : values) total += value = std::exp(value);
    for (double& value : values) value /= total;
    return values;
}

Numbers key_share(const Cached& c, std::size_t window) {
    Numbers values(c.tokens.size());
    for (std::size_t j = 0; j < values.size(); ++j) {
        double sum = 0;
        for (std::size_t t = 0; t < values.size(); ++t)
            if (c.tokens[t] / window == c.tokens[j] / window) sum += dot(c.key(t), c.key(t));
        values[j] = dot(c.key(j), c.key(j)) / sum;
    }
    return values;
}

Numbers window_var(const Cached& c, std::size_t window) {
    Numbers values(c.tokens.size());
    for (std::size_t g = 0; g < c.group(); ++g)
        for (std::size_t j = 0; j < values.size(); ++j) {
            double mean = 0, squares = 0;
            for (std::size_t i = c.seen - window; i < c.seen; ++i) mean += c.attention(g, i, all)[j] / double(window);
            for (std::size_t i = c.seen - window; i < c.seen; ++i)
                squares += std::pow(c.attention(g, i, all)[j] - mean, 2);
            values[j] += squares / double(window - 1) / double(c.group());
        }
    return values;
}

struct Column {
    const char* name;
    std::function<Numbers(const Cached&)> slow;
};

const std::vector<Column> of_tensors{
    {"leave_one_out:6", [](const Cached& c) { return leave_one_out(c, 6, false); }},
    {"leave_one_out:6:wo", [](const Cached& c) { return leave_one_out(c, 6, true); }},
    {"group_max_attn:5", [](const Cached& c) { return group_max_attn(c, 5, 1); }},
    {"group_max_attn:8:pool=3", [](const Cached& c) { return group_max_attn(c, 8, 3); }},
    {"defensive_attn:7:pool=5", [](const Cached& c) { return defensive_attn(c, 7, 5); }},
    {"key_leverage", [](const Cached& c) { return key_leverage(c, 0, 0); }},
    {"key_leverage:first=2:last=1", [](const Cached& c) { return key_leverage(c, 2, 1); }},
    {"non_causal_attn:16", [](const Cached& c) { return non_causal_attn(c, 16, 0, 0); }},
    {"non_causal_attn:9:first=2:last=1", [](const Cached& c) { return non_causal_attn(c, 9, 2, 1); }},
    {"capacity:tau=3:future=20:sinks=2", [](const Cached& c) { return capacity(c, 3, 20, 2); }},
    {"key_redundancy", key_redundancy},
    {"key_share:7", [](const Cached& c) { return key_share(c, 7); }},
};

} // namespace

TEST_CASE("columns of queries, keys and values at the end of a prompt") {
    const std::size_t window = GENERATE(std::size_t{0}, std::size_t{3}, std::size_t{12}, std::size_t{200});
    OwnedLayer layer = made_layer(window, 0.6F);
    layer.wo_gram = wo_grams(layer.shape, made_projection(layer.shape));
    const AttentionRows rows(layer.view());
    const std::vector<double> types(padded(50));
    LayerView view = layer.view();
    view.prompt = 40;
    view.token_type = types.data();
    std::vector<Column> columns = of_tensors;
    columns.push_back({"window_var:6", [](const Cached& c) { return window_var(c, 6); }});
    std::vector<std::string> names;
    for (const Column& column : columns) names.emplace_back(column.name);
    const auto ids = interned(names);
    PromptColumns computed(view, &rows, ids);
    Cached cached{layer, std::vector<std::size_t>(40), 40, 0};
    for (std::size_t j = 0; j < 40; ++j) cached.tokens[j] = j;
    INFO("window " << window);
    for (; cached.head < 2; ++cached.head)
        for (std::size_t c = 0; c < ids.size(); ++c)
            check(computed.columns().view(c, cached.head).data, columns[c].slow(cached), columns[c].name);
}

TEST_CASE("columns of queries, keys and values of what is cached while decoding") {
    const std::size_t window = GENERATE(std::size_t{0}, std::size_t{12}, std::size_t{33});
    OwnedLayer layer = made_layer(window, 0.6F);
    layer.wo_gram = wo_grams(layer.shape, made_projection(layer.shape));
    const std::vector<double> types(padded(50));
    LayerView view = layer.view();
    view.prompt = 40;
    view.token_type = types.data();
    std::vector<std::string> names;
    for (const Column& column : of_tensors) names.emplace_back(column.name);
    const auto ids = interned(names);
    ColumnBoard board(ids, 1, 50);
    CachedHead head(view, 1);
    const Cached cached{layer, {0, 3, 4, 11, 12, 20, 29, 30, 31, 36, 38, 39}, 40, 1};
    for (const std::size_t position : cached.tokens) head.add(position);
    head.attend(39);
    board.update(0, head.row());
    INFO("window " << window);
    for (std::size_t c = 0; c < ids.size(); ++c)
        check(board.view(c, 0).data, of_tensors[c].slow(cached), of_tensors[c].name);
}

TEST_CASE("columns of queries, keys and values of what earlier evictions left in each head") {
    const std::size_t window = GENERATE(std::size_t{0}, std::size_t{12}, std::size_t{33});
    OwnedLayer layer = made_layer(window, 0.6F);
    layer.wo_gram = wo_grams(layer.shape, made_projection(layer.shape));
    const std::vector<std::vector<std::size_t>> tokens{{0, 3, 4, 11, 12, 20, 29, 30, 31, 36, 38, 39},
                                                       {1, 2, 5, 6, 7, 8, 17, 21, 25, 35, 36, 37}};
    const std::size_t n = 12, seen = 40, dim = layer.shape.dim;
    OwnedLayer left = layer;
    left.shape.tokens = left.prompt = n;
    std::vector<double> positions(2 * padded(n));
    for (std::size_t a = 0; a < 2; ++a)
        for (std::size_t i = 0; i < n; ++i) {
            positions[a * padded(n) + i] = double(tokens[a][i]);
            const std::size_t from = (a * layer.shape.tokens + tokens[a][i]) * dim, to = (a * n + i) * dim;
            std::copy_n(layer.k.begin() + long(from), dim, left.k.begin() + long(to));
            std::copy_n(layer.v.begin() + long(from), dim, left.v.begin() + long(to));
        }
    const std::vector<double> types(padded(n));
    LayerView view = left.view();
    view.q_stride = layer.shape.tokens * dim;
    view.token_type = types.data();
    view.positions = positions.data();
    view.positions_stride = padded(n);
    view.seen = seen;
    std::vector<Column> columns = of_tensors;
    columns.push_back({"window_var:6", [](const Cached& c) { return window_var(c, 6); }});
    std::vector<std::string> names;
    for (const Column& column : columns) names.emplace_back(column.name);
    const auto ids = interned(names);
    const AttentionRows rows(view);
    PromptColumns computed(view, &rows, ids);
    INFO("window " << window);
    for (std::size_t a = 0; a < 2; ++a)
        for (std::size_t c = 0; c < ids.size(); ++c)
            check(computed.columns().view(c, a).data, columns[c].slow({layer, tokens[a], seen, a}), columns[c].name);
}

TEST_CASE("shares, means and standard scores over heads or a whole layer, of any column") {
    const OwnedLayer layer = made_layer(0, 0.6F);
    const AttentionRows rows(layer.view());
    const std::vector<double> types(padded(50));
    LayerView view = layer.view();
    view.prompt = 40;
    view.token_type = types.data();
    const auto ids =
        interned({"value_norm", "head_share:value_norm", "zscore:value_norm", "zscore:sequence_len",
                  "layer_mean:value_norm", "layer_share:value_norm", "layer_share:is_sink", "head_mean:value_norm"});
    PromptColumns computed(view, &rows, ids);
    const double* norms[2] = {computed.columns().view(0, 0).data, computed.columns().view(0, 1).data};
    double mean = 0, squares = 0;
    for (std::size_t j = 0; j < 40; ++j) mean += (norms[0][j] + norms[1][j]) / 80;
    for (std::size_t j = 0; j < 80; ++j) squares += std::pow(norms[j / 40][j % 40] - mean, 2);
    for (std::size_t a = 0; a < 2; ++a)
        for (std::size_t j = 0; j < 40; ++j) {
            CHECK(computed.columns().view(1, a).data[j] == Approx(norms[a][j] / (norms[0][j] + norms[1][j])));
            CHECK(computed.columns().view(2, a).data[j] == Approx((norms[a][j] - mean) / std::sqrt(squares / 79)));
            CHECK(computed.columns().view(3, a).data[j] == 0);
            CHECK(computed.columns().view(4, a).data[j] == Approx(mean));
            CHECK(computed.columns().view(5, a).data[j] == Approx(norms[a][j] / (mean * 80)));
            CHECK(computed.columns().view(6, a).data[j] == Approx(j < 4 ? 1.0 / 8 : 0.0));
            CHECK(computed.columns().view(7, a).data[j] == Approx(std::accumulate(norms[a], norms[a] + 40, 0.0) / 40));
        }
}
