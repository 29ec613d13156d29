// SPDX-License-Identifier: MIT
#include "framework/columns/lag.hpp"

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "framework/columns/states.hpp"

namespace evictlab::columns {
namespace {

class Lag final : public Copyable<Lag> {
public:
    Lag(std::size_t lag, std::size_t sinks, const float* HeadTensors::*vectors, std::size_t tokens)
        : lag_(lag), sinks_(sinks), vectors_(vectors), values_(padded(tokens)) {}

    void update(const RowContext& row) override {
        std::fill(values_.begin(), values_.end(), 0.0);
        const std::size_t n = row.tokens, dim = row.tensors->dim;
        if (n < sinks_ + 2 * lag_) return;
        const float* x = row.tensors->*vectors_;
        const std::size_t partitions = (n - sinks_) / lag_;
        for (std::size_t p = 0; p + 1 < partitions; ++p) {
            const std::size_t begin = sinks_ + p * lag_;
            spread(x + begin * dim, x + (begin + lag_) * dim, dim, values_.data() + begin);
        }
    }
    const double* values() override { return values_.data(); }

private:
    void spread(const float* tokens, const float* next, std::size_t dim, double* out) const {
        std::vector<double> low(dim), range(dim);
        for (std::size_t c = 0; c < dim; ++c) {
            float lowest = next[c], highest = next[c];
            for (std::size_t i = 1; i < lag_; ++i) {
                lowest = std::min(lowest, next[i * dim + c]);
                highest = std::max(highest, next[i * dim + c]);
            }
            low[c] = static_cast<double>(lowest);
            range[c] = static_cast<double>(highest) - low[c];
        }
        double highest = -HUGE_VAL, total = 0;
        for (std::size_t i = 0; i < lag_; ++i) {
            out[i] = deviation(tokens + i * dim, low, range);
            highest = std::max(highest, out[i]);
        }
        for (std::size_t i = 0; i < lag_; ++i) total += out[i] = std::exp(out[i] - highest);
        for (std::size_t i = 0; i < lag_; ++i) out[i] /= total;
    }
    /// A channel that is constant over the next partition says nothing and is left at 0.
    static double deviation(const float* x, const std::vector<double>& low, const std::vector<double>& range) {
        const std::size_t dim = low.size();
        std::vector<double> z(dim, 0.0);
        double mean = 0, squares = 0;
        for (std::size_t c = 0; c < dim; ++c) {
            if (range[c] > 0) z[c] = (static_cast<double>(x[c]) - low[c]) / range[c];
            mean += z[c];
        }
        mean /= static_cast<double>(dim);
        for (const double value : z) squares += (value - mean) * (value - mean);
        return dim > 1 ? std::sqrt(squares / static_cast<double>(dim - 1)) : 0;
    }

    std::size_t lag_, sinks_;
    const float* HeadTensors::*vectors_;
    std::vector<double> values_;
};

} // namespace

std::unique_ptr<ColumnState> make_lag(std::string_view column, std::string_view text, std::size_t tokens,
                                      const float* HeadTensors::*vectors) {
    Arguments arguments(column, text);
    const std::size_t lag = arguments.number("the lag", 128, 1, 1 << 20);
    const std::size_t sinks = arguments.keyed("sinks", 4, 0, 1 << 20);
    arguments.end(std::string(column) + ":128:sinks=4");
    return std::make_unique<Lag>(lag, sinks, vectors, tokens);
}

} // namespace evictlab::columns
