// SPDX-License-Identifier: MIT
#include <algorithm>

#include "base/numeric/vectors.hpp"
#include "framework/columns/states.hpp"

namespace evictlab::columns {

ColumnInfo describe_key_cos() {
    return {"key_cos",
            "cosine of the token's key and the mean of the keys' directions, in [-1, 1] (KeyDiff is its negative)",
            ColumnKind::token,
            [](std::string_view arguments, std::size_t tokens) -> std::unique_ptr<ColumnState> {
                require_no_arguments("key_cos", arguments);
                return std::make_unique<TensorState>(tokens, [](const RowContext& row, double* out) {
                    const HeadTensors& t = *row.tensors;
                    std::vector<double> anchor(t.dim, 0.0);
                    for (std::size_t i = 0; i < row.tokens; ++i) {
                        const float* key = t.k + i * t.dim;
                        const double size = std::max(numeric::norm(key, t.dim), 1e-12);
                        for (std::size_t x = 0; x < t.dim; ++x) anchor[x] += static_cast<double>(key[x]) / size;
                    }
                    double anchor_size = 0;
                    for (double& x : anchor) {
                        x /= static_cast<double>(row.tokens);
                        anchor_size += x * x;
                    }
                    anchor_size = std::max(std::sqrt(anchor_size), 1e-8);
                    for (std::size_t i = 0; i < row.tokens; ++i) {
                        const float* key = t.k + i * t.dim;
                        double along = 0;
                        for (std::size_t x = 0; x < t.dim; ++x) along += static_cast<double>(key[x]) * anchor[x];
                        out[i] = along / (std::max(numeric::norm(key, t.dim), 1e-8) * anchor_size);
                    }
                });
            },
            ColumnNeeds::tensors,
            last_query,
            ColumnQueries::none};
}

} // namespace evictlab::columns
