// SPDX-License-Identifier: MIT
#include "framework/attention/matmul.hpp"

#include <algorithm>

#include "base/numeric/clones.hpp"

namespace evictlab {
namespace {

// One register of the processor each; what is wider, g++ keeps in memory.
struct Bytes64 {
    using Lanes = float __attribute__((vector_size(64), aligned(4), may_alias));
};
struct Bytes32 {
    using Lanes = float __attribute__((vector_size(32), aligned(4), may_alias));
};
struct Bytes16 {
    using Lanes = float __attribute__((vector_size(16), aligned(4), may_alias));
};

struct All {
    std::size_t count;
    EVICTLAB_INLINE std::size_t operator[](std::size_t i) const { return i; }
};
struct Selected {
    const std::uint32_t* index;
    std::size_t count;
    EVICTLAB_INLINE std::size_t operator[](std::size_t i) const { return index[i]; }
};

/// `Rows` rows of c, as many columns as two registers hold.
template <class Register, int Rows, class Terms>
EVICTLAB_INLINE void tile(const float* a, std::size_t a_stride, const float* b, std::size_t b_stride, float* c,
                          std::size_t c_stride, Terms terms) {
    using Lanes = typename Register::Lanes;
    constexpr std::size_t half = sizeof(Lanes) / sizeof(float);
    Lanes sums[Rows][2] = {};
    for (std::size_t i = 0; i < terms.count; ++i) {
        const std::size_t x = terms[i];
        const float* from = b + x * b_stride;
        const Lanes left = *reinterpret_cast<const Lanes*>(from), right = *reinterpret_cast<const Lanes*>(from + half);
        for (int r = 0; r < Rows; ++r) {
            const float factor = a[static_cast<std::size_t>(r) * a_stride + x];
            sums[r][0] += factor * left;
            sums[r][1] += factor * right;
        }
    }
    for (int r = 0; r < Rows; ++r) {
        float* to = c + static_cast<std::size_t>(r) * c_stride;
        *reinterpret_cast<Lanes*>(to) = sums[r][0];
        *reinterpret_cast<Lanes*>(to + half) = sums[r][1];
    }
}

template <class Register, class Terms>
EVICTLAB_INLINE void product_in(const float* a, std::size_t a_stride, const float* b, std::size_t b_stride, float* c,
                                std::size_t c_stride, std::size_t m, std::size_t n, Terms terms) {
    constexpr std::size_t columns = 2 * sizeof(typename Register::Lanes) / sizeof(float);
    static_assert(column_block % columns == 0);
    for (std::size_t j = 0; j < n; j += columns) {
        std::size_t r = 0;
        for (; r + 4 <= m; r += 4)
            tile<Register, 4>(a + r * a_stride, a_stride, b + j, b_stride, c + r * c_stride + j, c_stride, terms);
        for (; r < m; ++r)
            tile<Register, 1>(a + r * a_stride, a_stride, b + j, b_stride, c + r * c_stride + j, c_stride, terms);
    }
}

template <class Terms>
EVICTLAB_INLINE void product(const float* a, std::size_t a_stride, const float* b, std::size_t b_stride, float* c,
                             std::size_t c_stride, std::size_t m, std::size_t n, Terms terms) {
    switch (vector_bytes()) {
    case 64:
        return product_in<Bytes64>(a, a_stride, b, b_stride, c, c_stride, m, n, terms);
    case 32:
        return product_in<Bytes32>(a, a_stride, b, b_stride, c, c_stride, m, n, terms);
    default:
        return product_in<Bytes16>(a, a_stride, b, b_stride, c, c_stride, m, n, terms);
    }
}

} // namespace

EVICTLAB_CLONES void matmul(const float* a, std::size_t a_stride, const float* b, std::size_t b_stride, float* c,
                            std::size_t c_stride, std::size_t m, std::size_t k, std::size_t n) {
    product(a, a_stride, b, b_stride, c, c_stride, m, n, All{k});
}

EVICTLAB_CLONES void matmul_selected(const float* a, std::size_t a_stride, const float* b, std::size_t b_stride,
                                     std::span<const std::uint32_t> index, float* c, std::size_t c_stride,
                                     std::size_t m, std::size_t n) {
    product(a, a_stride, b, b_stride, c, c_stride, m, n, Selected{index.data(), index.size()});
}

void transpose(const float* from, std::size_t from_stride, std::size_t rows, std::size_t columns, float* to,
               std::size_t stride) {
    constexpr std::size_t block = 32;
    for (std::size_t r0 = 0; r0 < rows; r0 += block)
        for (std::size_t c = 0; c < columns; ++c)
            for (std::size_t r = r0; r < std::min(rows, r0 + block); ++r)
                to[c * stride + r] = from[r * from_stride + c];
    for (std::size_t c = 0; c < columns; ++c) std::fill(to + c * stride + rows, to + (c + 1) * stride, 0.0F);
}

} // namespace evictlab
