// One instruction of a compiled formula over a stretch of tokens, and for a single value: with the same bits.
// SPDX-License-Identifier: MIT
#pragma once
#include <cstddef>

#include "framework/formula/formula.hpp"

namespace evictlab::formula {

/// Where an operand's values lie: one for all tokens, or one each.
struct Operand {
    const double* data = nullptr;
    bool uniform = false;
    bool advances = false; ///< a column, whose next block follows; registers are used again for each block
};

/// How a power with one exponent for all tokens is computed; decided once a batch.
enum class Power : std::uint8_t { any, fraction, even, odd, minus_one, half, one, two, three };
Power power_for(double exponent);

struct Step {
    Op op = Op::column; ///< Op::column copies a
    Power power = Power::any;
    bool into_result = false;
    double* out = nullptr; ///< the register, unless into_result
    Operand a{}, b{}, c{};
};

/// Runs the steps over n tokens (a multiple of row_padding) from token `begin` on, the last into result + begin with
/// NaN turned into drop.
void run_block(const Step* first, const Step* last, std::size_t begin, std::size_t n, double* result);

/// What a step computes for one token.
double compute(Op op, double a, double b, double c);

} // namespace evictlab::formula
