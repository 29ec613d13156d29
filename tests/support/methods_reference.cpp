// SPDX-License-Identifier: MIT
#include "tests/support/methods_reference.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <stdexcept>
#include <string>

namespace evictlab::test {

namespace {

using Row = std::vector<double>;
using Matrix = std::vector<Row>;

double dot(const float* a, const float* b, std::size_t n) {
    double sum = 0;
    for (std::size_t i = 0; i < n; ++i) sum += double{a[i]} * double{b[i]};
    return sum;
}

double norm(const float* a, std::size_t n) { return std::sqrt(dot(a, a, n)); }

Row softmax(const Row& x) {
    const double highest = *std::ranges::max_element(x);
    Row result;
    double sum = 0;
    for (const double value : x) result.push_back(std::exp(value - highest)), sum += result.back();
    for (double& value : result) value /= sum;
    return result;
}

// A[h] of all query heads, computed once a layer.
const std::vector<Matrix>& attention_of_all(const MethodsLayer& layer) {
    static std::map<const MethodsLayer*, std::vector<Matrix>> known;
    auto& heads = known[&layer];
    for (std::size_t h = heads.size(); h < layer.query_heads; ++h) heads.push_back(attention_of(layer, h));
    return heads;
}

// The mean over the query heads of each KV head of rows that `rule` makes from one query head's attention.
Row group_mean(const MethodsLayer& layer, const std::function<Row(std::size_t head)>& rule) {
    Row out(layer.kv_heads * layer.tokens);
    for (std::size_t h = 0; h < layer.query_heads; ++h) {
        const Row row = rule(h);
        for (std::size_t j = 0; j < layer.tokens; ++j)
            out[h / layer.group() * layer.tokens + j] += row[j] / static_cast<double>(layer.group());
    }
    return out;
}

Row per_token(const MethodsLayer& layer, const std::function<double(std::size_t head, std::size_t j)>& rule) {
    Row out;
    for (std::size_t a = 0; a < layer.kv_heads; ++a)
        for (std::size_t j = 0; j < layer.tokens; ++j) out.push_back(rule(a, j));
    return out;
}

// The parts of a name behind its first: "64", "pool=5", "avg".
struct Arguments {
    std::vector<std::string> parts;

    std::size_t number(std::size_t index) const { return std::stoul(parts.at(index)); }
    bool has(std::string_view word) const { return std::ranges::count(parts, word) > 0; }
    std::size_t keyed(const std::string& key, std::size_t otherwise) const {
        for (const auto& part : parts)
            if (part.starts_with(key + "=")) return std::stoul(part.substr(key.size() + 1));
        return otherwise;
    }
};

Row cumulative_attn(const MethodsLayer& layer) {
    return group_mean(layer, [&](std::size_t h) {
        Row sum(layer.tokens);
        for (const Row& row : attention_of_all(layer)[h])
            for (std::size_t j = 0; j < layer.tokens; ++j) sum[j] += row[j];
        return sum;
    });
}

Row pooled(const Row& values, std::size_t n, std::size_t kernel, bool maximum) {
    Row out(values);
    const auto half = static_cast<std::ptrdiff_t>(kernel / 2);
    for (std::ptrdiff_t j = 0; j < static_cast<std::ptrdiff_t>(n); ++j) {
        double sum = 0, highest = 0; // attention is not negative
        for (std::ptrdiff_t t = -half; t <= half; ++t) {
            if (j + t < 0 || j + t >= static_cast<std::ptrdiff_t>(n)) continue;
            sum += values[static_cast<std::size_t>(j + t)];
            highest = std::max(highest, values[static_cast<std::size_t>(j + t)]);
        }
        out[static_cast<std::size_t>(j)] = maximum ? highest : sum / static_cast<double>(kernel);
    }
    return out;
}

Row window_attn(const MethodsLayer& layer, const Arguments& arguments) {
    const std::size_t n = layer.tokens, window = std::min(arguments.number(0), n);
    Row mean = group_mean(layer, [&](std::size_t h) {
        Row row(n);
        for (std::size_t i = n - window; i < n; ++i)
            for (std::size_t j = 0; j < n; ++j)
                row[j] += attention_of_all(layer)[h][i][j] / static_cast<double>(window);
        return row;
    });
    const std::size_t kernel = arguments.keyed("pool", 1);
    for (std::size_t a = 0; a < layer.kv_heads; ++a) {
        const auto begin = mean.begin() + static_cast<std::ptrdiff_t>(a * n);
        const Row head =
            pooled(Row(begin, begin + static_cast<std::ptrdiff_t>(n)), n - window, kernel, arguments.has("max"));
        std::ranges::copy(head, begin);
    }
    return mean;
}

Row last_attn(const MethodsLayer& layer, const Arguments& arguments) {
    if (!arguments.has("all"))
        return group_mean(layer, [&](std::size_t h) { return attention_of_all(layer)[h].back(); });
    return per_token(layer, [&](std::size_t, std::size_t j) {
        double sum = 0;
        for (const Matrix& head : attention_of_all(layer)) sum += head.back()[j];
        return sum / static_cast<double>(layer.query_heads);
    });
}

Row layer_attn(const MethodsLayer& layer, const Arguments& arguments) {
    const std::size_t n = layer.tokens, queries = arguments.number(0) == 0 ? n : std::min(arguments.number(0), n);
    Row mean(n);
    for (const Matrix& head : attention_of_all(layer))
        for (std::size_t i = n - queries; i < n; ++i)
            for (std::size_t j = 0; j < n; ++j)
                mean[j] += head[i][j] / static_cast<double>(queries * layer.query_heads);
    const std::size_t ahead = arguments.keyed("ahead", 1);
    return per_token(layer, [&](std::size_t, std::size_t j) {
        const auto begin = mean.begin() + static_cast<std::ptrdiff_t>(j);
        return *std::max_element(begin, begin + static_cast<std::ptrdiff_t>(std::min(ahead, n - j)));
    });
}

Row key_cos(const MethodsLayer& layer) {
    const std::size_t d = layer.dim;
    Matrix anchors(layer.kv_heads, Row(d));
    for (std::size_t a = 0; a < layer.kv_heads; ++a)
        for (std::size_t j = 0; j < layer.tokens; ++j)
            for (std::size_t m = 0; m < d; ++m)
                anchors[a][m] += layer.k_at(a, j)[m] / std::max(norm(layer.k_at(a, j), d), 1e-12) /
                                 static_cast<double>(layer.tokens);
    return per_token(layer, [&](std::size_t a, std::size_t j) {
        double product = 0, squares = 0;
        for (std::size_t m = 0; m < d; ++m) {
            product += layer.k_at(a, j)[m] * anchors[a][m];
            squares += anchors[a][m] * anchors[a][m];
        }
        return product / std::max(norm(layer.k_at(a, j), d), 1e-8) / std::max(std::sqrt(squares), 1e-8);
    });
}

// R x for RoPE in its half-split form with the given cosines and sines.
Row rotated(const Row& x, const Row& cosines, const Row& sines) {
    const std::size_t half = cosines.size();
    Row out(x.size());
    for (std::size_t m = 0; m < half; ++m) {
        out[m] = x[m] * cosines[m] - x[m + half] * sines[m];
        out[m + half] = x[m + half] * cosines[m] + x[m] * sines[m];
    }
    return out;
}

Row replayed_attn(const MethodsLayer& layer, const Arguments& arguments) {
    const std::size_t n = layer.tokens, d = layer.dim;
    const std::size_t window = arguments.has("all") ? n : arguments.number(0);
    const std::size_t count = std::min(window, arguments.keyed("count", 128));
    const bool rms = arguments.has("rms");
    Row out = group_mean(layer, [&](std::size_t h) {
        Row mean(n);
        for (std::size_t i = 0; i < count; ++i) {
            const std::size_t asked = n - window + i * window / count;
            Row query(d), cosines(d / 2), sines(d / 2), x(n);
            for (std::size_t m = 0; m < d; ++m) query[m] = double{layer.q_pre_rope[(h * n + asked) * d + m]};
            for (std::size_t m = 0; m < d / 2; ++m) {
                const double frequency =
                    std::pow(layer.rope_theta, -2.0 * static_cast<double>(m) / static_cast<double>(d));
                cosines[m] = std::cos(static_cast<double>(n + i) * frequency);
                sines[m] = std::sin(static_cast<double>(n + i) * frequency);
            }
            const Row turned = rotated(query, cosines, sines);
            for (std::size_t j = 0; j < n; ++j)
                for (std::size_t m = 0; m < d; ++m)
                    x[j] += turned[m] * double{layer.k_at(h / layer.group(), j)[m]} / std::sqrt(static_cast<double>(d));
            const Row row = softmax(x);
            for (std::size_t j = 0; j < n; ++j)
                mean[j] += (rms ? row[j] * row[j] : row[j]) / static_cast<double>(count);
        }
        return mean;
    });
    if (rms)
        for (double& value : out) value = std::sqrt(value);
    return out;
}

Row expected_attn(const MethodsLayer& layer, const Arguments& arguments) {
    const std::size_t n = layer.tokens, d = layer.dim;
    const std::size_t future = arguments.keyed("future", 512), sinks = arguments.keyed("sinks", 4);
    Row cosines(d / 2), sines(d / 2);
    for (std::size_t m = 0; m < d / 2; ++m) {
        const double frequency = std::pow(layer.rope_theta, -2.0 * static_cast<double>(m) / static_cast<double>(d));
        for (std::size_t p = n; p < n + future; ++p) {
            cosines[m] += std::cos(static_cast<double>(p) * frequency) / static_cast<double>(future);
            sines[m] += std::sin(static_cast<double>(p) * frequency) / static_cast<double>(future);
        }
    }
    return group_mean(layer, [&](std::size_t h) {
        const auto u = [&](std::size_t i, std::size_t m) { return double{layer.q_pre_rope[(h * n + i) * d + m]}; };
        const auto count = static_cast<double>(n - sinks);
        Row mean(d);
        for (std::size_t i = sinks; i < n; ++i)
            for (std::size_t m = 0; m < d; ++m) mean[m] += u(i, m) / count;
        const Row turned = rotated(mean, cosines, sines);
        Matrix deviations; // R (u - mean): their mean outer product is R Sigma R^T
        for (std::size_t i = sinks; i < n; ++i) {
            Row deviation(d);
            for (std::size_t m = 0; m < d; ++m) deviation[m] = u(i, m) - mean[m];
            deviations.push_back(rotated(deviation, cosines, sines));
        }
        Row x;
        for (std::size_t j = sinks; j < n; ++j) {
            const float* key = layer.k_at(h / layer.group(), j);
            double linear = 0, square = 0;
            for (std::size_t m = 0; m < d; ++m) linear += key[m] * turned[m];
            for (const Row& deviation : deviations) {
                double product = 0;
                for (std::size_t m = 0; m < d; ++m) product += key[m] * deviation[m];
                square += product * product / count;
            }
            const auto size = static_cast<double>(d);
            x.push_back(linear / std::sqrt(size) + (arguments.has("mean") ? 0 : square / (2 * size)));
        }
        Row row = softmax(x);
        row.insert(row.begin(), sinks, 0.0);
        return row;
    });
}

Row lag(const MethodsLayer& layer, const Arguments& arguments,
        const float* (MethodsLayer::*at)(std::size_t, std::size_t) const) {
    const std::size_t n = layer.tokens, d = layer.dim, size = arguments.number(0), sinks = arguments.keyed("sinks", 4);
    Row out(layer.kv_heads * n);
    if (n < sinks + 2 * size) return out;
    for (std::size_t a = 0; a < layer.kv_heads; ++a) {
        for (std::size_t begin = sinks; begin + 2 * size <= n; begin += size) {
            Row spread;
            for (std::size_t j = begin; j < begin + size; ++j) {
                Row z;
                for (std::size_t m = 0; m < d; ++m) {
                    double low = (layer.*at)(a, begin + size)[m], high = low;
                    for (std::size_t i = begin + size; i < begin + 2 * size; ++i) {
                        low = std::min(low, double{(layer.*at)(a, i)[m]});
                        high = std::max(high, double{(layer.*at)(a, i)[m]});
                    }
                    z.push_back(((layer.*at)(a, j)[m] - low) / (high - low));
                }
                double mean = 0, squares = 0;
                for (const double value : z) mean += value / static_cast<double>(d);
                for (const double value : z) squares += (value - mean) * (value - mean);
                spread.push_back(std::sqrt(squares / static_cast<double>(d - 1)));
            }
            std::ranges::copy(softmax(spread), out.begin() + static_cast<std::ptrdiff_t>(a * n + begin));
        }
    }
    return out;
}

} // namespace

std::vector<std::vector<double>> attention_of(const MethodsLayer& layer, std::size_t query_head) {
    Matrix rows;
    for (std::size_t i = 0; i < layer.tokens; ++i) {
        Row x;
        for (std::size_t j = 0; j <= i; ++j)
            x.push_back(dot(layer.q_at(query_head, i), layer.k_at(query_head / layer.group(), j), layer.dim) /
                        std::sqrt(static_cast<double>(layer.dim)));
        rows.push_back(softmax(x));
        rows.back().resize(layer.tokens);
    }
    return rows;
}

std::vector<double> reference_column(const MethodsLayer& layer, std::string_view full_name) {
    std::vector<std::string> parts;
    for (std::string_view rest = full_name; !rest.empty();) {
        const auto colon = rest.find(':');
        parts.emplace_back(rest.substr(0, colon));
        rest.remove_prefix(colon == std::string_view::npos ? rest.size() : colon + 1);
    }
    const std::string name = parts.at(0);
    const Arguments arguments{{parts.begin() + 1, parts.end()}};
    const auto last = static_cast<double>(layer.tokens - 1);
    if (name == "position") return per_token(layer, [](auto, std::size_t j) { return static_cast<double>(j); });
    if (name == "relative_pos")
        return per_token(layer, [&](auto, std::size_t j) { return last - static_cast<double>(j); });
    if (name == "cumulative_attn") return cumulative_attn(layer);
    if (name == "window_attn") return window_attn(layer, arguments);
    if (name == "last_attn") return last_attn(layer, arguments);
    if (name == "layer_attn") return layer_attn(layer, arguments);
    if (name == "key_norm")
        return per_token(layer, [&](std::size_t a, std::size_t j) { return norm(layer.k_at(a, j), layer.dim); });
    if (name == "value_norm")
        return per_token(layer, [&](std::size_t a, std::size_t j) { return norm(layer.v_at(a, j), layer.dim); });
    if (name == "key_cos") return key_cos(layer);
    if (name == "expected_attn") return expected_attn(layer, arguments);
    if (name == "replayed_attn") return replayed_attn(layer, arguments);
    if (name == "lag_key") return lag(layer, arguments, &MethodsLayer::k_at);
    if (name == "lag_value") return lag(layer, arguments, &MethodsLayer::v_at);
    if (name == "wov_norm")
        return group_mean(layer, [&](std::size_t h) {
            const auto begin = layer.wov_l1.begin() + static_cast<std::ptrdiff_t>(h * layer.tokens);
            return Row(begin, begin + static_cast<std::ptrdiff_t>(layer.tokens));
        });
    throw std::invalid_argument("no reference for the column " + std::string(full_name));
}

} // namespace evictlab::test
