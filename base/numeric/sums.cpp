// SPDX-License-Identifier: MIT
#include "base/numeric/sums.hpp"

#include <cmath>

#include "base/numeric/clones.hpp"
#include "base/numeric/vector_math.hpp"

namespace evictlab::numeric {

EVICTLAB_CLONES void accumulate(const double* row, std::size_t n, double* sums) {
    for (std::size_t i = 0; i < n; ++i) sums[i] += row[i];
}

EVICTLAB_CLONES void slide(const double* __restrict row, std::size_t n, double* __restrict oldest,
                           double* __restrict sums) {
    for (std::size_t i = 0; i < n; ++i) {
        sums[i] += row[i] - oldest[i];
        oldest[i] = row[i];
    }
}

EVICTLAB_CLONES void accumulate_entropy(const double* __restrict row, std::size_t n, double* __restrict sums) {
    for (std::size_t i = 0; i < n; ++i) {
        const double a = row[i] > 1e-10 ? row[i] : 1.0; // 1 ln 1 adds nothing
        sums[i] -= a * vector_math::log(a);
    }
}

EVICTLAB_CLONES void accumulate_outer(const double* __restrict a, std::size_t n, double* __restrict sums,
                                      double* __restrict outer) {
    for (std::size_t x = 0; x < n; ++x) {
        const double factor = a[x];
        sums[x] += factor;
        double* __restrict row = outer + x * n;
        for (std::size_t y = 0; y < n; ++y) row[y] += factor * a[y];
    }
}

EVICTLAB_CLONES double quadratic(const double* __restrict matrix, const double* __restrict a, std::size_t n,
                                 double* __restrict scratch) {
    for (std::size_t y = 0; y < n; ++y) scratch[y] = 0;
    for (std::size_t x = 0; x < n; ++x) {
        const double factor = a[x];
        const double* __restrict row = matrix + x * n;
        for (std::size_t y = 0; y < n; ++y) scratch[y] += factor * row[y];
    }
    double sum = 0;
    for (std::size_t y = 0; y < n; ++y) sum += scratch[y] * a[y];
    return sum;
}

EVICTLAB_CLONES double exponentials(double* values, std::size_t n, double scale) {
    double highest = values[0], sum = 0;
    for (std::size_t i = 1; i < n; ++i) highest = values[i] > highest ? values[i] : highest;
    for (std::size_t i = 0; i < n; ++i) values[i] = vector_math::exp((values[i] - highest) * scale);
    for (std::size_t i = 0; i < n; ++i) sum += values[i];
    return sum;
}

EVICTLAB_CLONES void weighted_sum(const float* __restrict vectors, std::size_t n, std::size_t dim,
                                  const double* __restrict weights, double* __restrict out) {
    for (std::size_t x = 0; x < dim; ++x) out[x] = 0;
    for (std::size_t i = 0; i < n; ++i) {
        const double weight = weights[i];
        const float* __restrict vector = vectors + i * dim;
        for (std::size_t x = 0; x < dim; ++x) out[x] += weight * static_cast<double>(vector[x]);
    }
}

constexpr std::size_t block_vectors = 512; // whose sums stay in the nearest cache

template <class Number>
EVICTLAB_INLINE void products_with(const float* __restrict channels, std::size_t stride, std::size_t dim,
                                   const Number* __restrict point, std::size_t n, double* __restrict out) {
    for (std::size_t first = 0; first < n; first += block_vectors) {
        const std::size_t last = first + block_vectors < n ? first + block_vectors : n;
        for (std::size_t i = first; i < last; ++i) out[i] = 0;
        for (std::size_t x = 0; x < dim; ++x) {
            const float* __restrict channel = channels + x * stride;
            const auto factor = static_cast<double>(point[x]);
            for (std::size_t i = first; i < last; ++i) out[i] += static_cast<double>(channel[i]) * factor;
        }
    }
}

EVICTLAB_CLONES void products(const float* __restrict channels, std::size_t stride, std::size_t dim,
                              const float* __restrict point, std::size_t n, double* __restrict out) {
    products_with(channels, stride, dim, point, n, out);
}

EVICTLAB_CLONES void products(const float* __restrict channels, std::size_t stride, std::size_t dim,
                              const double* __restrict point, std::size_t n, double* __restrict out) {
    products_with(channels, stride, dim, point, n, out);
}

EVICTLAB_CLONES void pair_lengths(const float* __restrict channels, std::size_t stride, std::size_t dim, std::size_t n,
                                  double* __restrict out) {
    for (std::size_t f = 0; f < dim / 2; ++f) {
        const float* __restrict first = channels + f * stride;
        const float* __restrict second = channels + (f + dim / 2) * stride;
        double* __restrict lengths = out + f * n;
        for (std::size_t i = 0; i < n; ++i) {
            const auto a = static_cast<double>(first[i]), b = static_cast<double>(second[i]);
            lengths[i] = std::sqrt(a * a + b * b);
        }
    }
}

EVICTLAB_CLONES void squared_distances(const float* __restrict channels, std::size_t stride, std::size_t dim,
                                       const double* __restrict point, std::size_t n, double* __restrict out) {
    for (std::size_t first = 0; first < n; first += block_vectors) {
        const std::size_t last = first + block_vectors < n ? first + block_vectors : n;
        for (std::size_t i = first; i < last; ++i) out[i] = 0;
        for (std::size_t x = 0; x < dim; ++x) {
            const float* __restrict channel = channels + x * stride;
            const double at = point[x];
            for (std::size_t i = first; i < last; ++i) {
                const double away = static_cast<double>(channel[i]) - at;
                out[i] += away * away;
            }
        }
    }
}

} // namespace evictlab::numeric
