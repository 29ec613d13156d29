// Attention's matrix product: the bits of a plain loop, whatever registers the processor has.
// SPDX-License-Identifier: MIT
#include "framework/attention/matmul.hpp"

#include <numeric>
#include <random>
#include <vector>

#include "tests/support/catch.hpp"

using namespace evictlab;

namespace {

constexpr std::size_t terms = 37, a_stride = 40, rows = 6;

std::vector<float> drawn(std::size_t count) {
    std::mt19937 random(7);
    std::normal_distribution<float> normal;
    std::vector<float> values(count);
    for (float& value : values) value = normal(random);
    return values;
}

std::vector<float> plain(const std::vector<float>& a, const std::vector<float>& b,
                         const std::vector<std::uint32_t>& index, std::size_t m, std::size_t n) {
    std::vector<float> c(m * n);
    for (std::size_t r = 0; r < m; ++r)
        for (const std::size_t x : index)
            for (std::size_t j = 0; j < n; ++j) {
                const float product = a[r * a_stride + x] * b[x * n + j];
                c[r * n + j] += product;
            }
    return c;
}

} // namespace

TEST_CASE("A product has the bits of a loop that sums its terms in order") {
    const std::size_t n = GENERATE(32, 64, 96);
    const std::vector<float> a = drawn(rows * a_stride), b = drawn(terms * n);
    std::vector<std::uint32_t> all(terms);
    std::iota(all.begin(), all.end(), 0U);
    const std::vector<std::uint32_t> some{0, 3, 4, 5, 17, 20, 36};
    for (std::size_t m = 1; m <= rows; ++m) {
        std::vector<float> c(m * n);
        matmul(a.data(), a_stride, b.data(), n, c.data(), n, m, terms, n);
        CHECK(c == plain(a, b, all, m, n));
        matmul_selected(a.data(), a_stride, b.data(), n, some, c.data(), n, m, n);
        CHECK(c == plain(a, b, some, m, n));
        matmul_selected(a.data(), a_stride, b.data(), n, {}, c.data(), n, m, n);
        CHECK(c == std::vector<float>(m * n));
    }
}
