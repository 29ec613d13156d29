// SPDX-License-Identifier: MIT
#include "framework/columns/squared_share.hpp"

#include <string>

#include "base/numeric/vectors.hpp"
#include "framework/columns/states.hpp"

namespace evictlab::columns {
namespace {

struct SquaredShare {
    std::size_t window;
    const float* HeadTensors::*vectors;

    void operator()(const RowContext& row, double* out) const {
        const std::size_t dim = row.tensors->dim;
        const float* const x = row.tensors->*vectors;
        for (std::size_t i = 0; i < row.tokens; ++i) out[i] = numeric::dot(x + i * dim, x + i * dim, dim);
        if (window == 0) return;
        const auto block = [&](std::size_t i) { return static_cast<std::size_t>(row.position[i]) / window; };
        for (std::size_t begin = 0, end = 0; begin < row.tokens; begin = end) {
            double sum = 0;
            for (; end < row.tokens && block(end) == block(begin); ++end) sum += out[end];
            for (std::size_t i = begin; i < end && sum > 0; ++i) out[i] /= sum;
        }
    }
};

} // namespace

std::unique_ptr<ColumnState> make_squared_share(std::string_view column, std::string_view text, std::size_t tokens,
                                                const float* HeadTensors::*vectors) {
    Arguments arguments(column, text);
    const std::size_t window = arguments.number("the block", 16, 0, 1 << 20);
    arguments.end(std::string(column) + ":16");
    return std::make_unique<TensorRule<SquaredShare>>(tokens, SquaredShare{window, vectors});
}

} // namespace evictlab::columns
