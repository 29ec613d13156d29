// SPDX-License-Identifier: MIT
#include "framework/suite/row_kernels.hpp"

#include "base/numeric/clones.hpp"
#include "base/numeric/vector_math.hpp"
#include "framework/suite/trace.hpp"

namespace evictlab {
namespace {

EVICTLAB_INLINE double noise(double u) { return 0.8 + 0.4 * u; }

} // namespace

EVICTLAB_CLONES void raw_row(const double* plain, const double* dense, const double* dense_mask,
                             const double* sink_weight, std::size_t sinks, std::size_t n, double* row) {
    double sink_row[4];
    for (std::size_t i = 0; i < sinks; ++i) sink_row[i] = sink_weight[i] * noise(row[i]);
    for (std::size_t i = 0; i < n; ++i) row[i] = (dense_mask[i] != 0 ? dense[i] : plain[i]) * noise(row[i]);
    for (std::size_t i = 0; i < sinks; ++i) row[i] = sink_row[i];
}

EVICTLAB_CLONES void raw_row_powered(const double* plain, const double* sink_weight, std::size_t sinks, double focus,
                                     std::size_t n, double* row) {
    double sink_row[4];
    for (std::size_t i = 0; i < sinks; ++i) sink_row[i] = sink_weight[i] * noise(row[i]);
    for (std::size_t i = 0; i < n; ++i) row[i] = plain[i] * noise(row[i]);
    for (std::size_t i = 0; i < sinks; ++i) row[i] = sink_row[i];
    for (std::size_t i = 0; i < padded(n); ++i) row[i] = vector_math::power_of_size(row[i], focus);
}

EVICTLAB_CLONES void softmax(std::size_t n, double* row) {
    double maximum[row_padding];
    double sum[row_padding] = {};
    const std::size_t end = padded(n);
    for (std::size_t i = n; i < end; ++i) row[i] = row[0];
    for (std::size_t j = 0; j < row_padding; ++j) maximum[j] = row[j];
    for (std::size_t i = row_padding; i < end; i += row_padding)
        for (std::size_t j = 0; j < row_padding; ++j) maximum[j] = maximum[j] < row[i + j] ? row[i + j] : maximum[j];
    double top = maximum[0];
    for (std::size_t j = 1; j < row_padding; ++j) top = top < maximum[j] ? maximum[j] : top;
    for (std::size_t i = 0; i < end; ++i) row[i] = vector_math::exp(row[i] - top);
    for (std::size_t i = n; i < end; ++i) row[i] = 0;
    for (std::size_t i = 0; i < end; i += row_padding)
        for (std::size_t j = 0; j < row_padding; ++j) sum[j] += row[i + j];
    double total = 0;
    for (std::size_t j = 0; j < row_padding; ++j) total += sum[j];
    for (std::size_t i = 0; i < end; ++i) row[i] /= total;
}

} // namespace evictlab
