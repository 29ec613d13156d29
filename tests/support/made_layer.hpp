// A small layer of random numbers, and the plain arithmetic on it by which columns are judged.
// SPDX-License-Identifier: MIT
#pragma once
#include <cmath>
#include <random>
#include <string>
#include <vector>

#include "framework/columns/column.hpp"
#include "framework/layer/layer.hpp"
#include "tests/support/catch.hpp"

namespace evictlab::test {

using Numbers = std::vector<double>;

inline OwnedLayer made_layer(std::size_t window, float scale) {
    std::mt19937 random(3);
    std::normal_distribution<float> normal;
    OwnedLayer layer;
    layer.shape = {4, 2, 50, 6};
    layer.q.resize(4 * 50 * 6);
    layer.k.resize(2 * 50 * 6);
    layer.v.resize(layer.k.size());
    for (float& x : layer.q) x = normal(random);
    for (float& x : layer.k) x = normal(random);
    for (float& x : layer.v) x = normal(random);
    layer.rope_inv_freq = {0.9F, 0.2F, 0.01F};
    layer.rope_scale = 1.2F;
    layer.softmax_scale = scale;
    layer.sliding_window = window;
    return layer;
}

/// x turned by RoPE's rotations of these positions, their mean.
inline Numbers turned(const OwnedLayer& layer, const Numbers& x, const std::vector<double>& positions) {
    const std::size_t half = layer.shape.dim / 2;
    Numbers out(x.size());
    for (const double position : positions)
        for (std::size_t m = 0; m < half; ++m) {
            const double angle = position * double(layer.rope_inv_freq[m]), share = 1 / double(positions.size());
            out[m] += (x[m] * std::cos(angle) - x[m + half] * std::sin(angle)) * share;
            out[m + half] += (x[m + half] * std::cos(angle) + x[m] * std::sin(angle)) * share;
        }
    return out;
}

inline Numbers query(const OwnedLayer& layer, std::size_t head, std::size_t i) {
    const float* q = layer.q.data() + (head * layer.shape.tokens + i) * layer.shape.dim;
    return {q, q + layer.shape.dim};
}

inline double product(const OwnedLayer& layer, const Numbers& q, std::size_t kv_head, std::size_t j) {
    double sum = 0;
    for (std::size_t x = 0; x < q.size(); ++x)
        sum += q[x] * double(layer.k[(kv_head * layer.shape.tokens + j) * q.size() + x]);
    return sum;
}

inline bool sees(const OwnedLayer& layer, std::size_t query, std::size_t key) {
    return layer.sliding_window == 0 || query - key < layer.sliding_window;
}

inline void check(const double* got, const Numbers& wanted, const std::string& column) {
    for (std::size_t i = 0; i < wanted.size(); ++i) {
        INFO(column << ", slot " << i);
        CHECK(got[i] == Approx(wanted[i]).epsilon(2e-5).margin(1e-9));
    }
}

inline std::vector<ColumnId> interned(const std::vector<std::string>& names) {
    std::vector<ColumnId> ids;
    for (const auto& name : names) ids.push_back(columns::intern(name));
    return ids;
}

} // namespace evictlab::test
