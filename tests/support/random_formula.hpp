// Random formulas for property tests: every operator, awkward constants, any shape.
// SPDX-License-Identifier: MIT
#pragma once
#include <cmath>
#include <limits>
#include <random>

#include "framework/formula/formula.hpp"

namespace evictlab::testing {

class RandomFormulas {
public:
    explicit RandomFormulas(std::uint64_t seed) : random_(seed) {}

    formula::Formula next(std::size_t largest) {
        std::vector<formula::Node> nodes;
        grow(nodes, 1 + below(largest));
        return formula::Formula(std::move(nodes));
    }
    std::size_t below(std::size_t n) { return static_cast<std::size_t>(random_() % n); }
    double uniform() { return static_cast<double>(random_() >> 11) * 0x1p-53; }

    double constant() {
        static constexpr double awkward[] = {
            0, -0.0, 1, -1, 2, 3, 0.5, -0.5, 0.25, 1e-3, 1e300, -1e300, 1e-300, 5e-324, 1.7976931348623157e308, 0.1};
        switch (below(4)) {
        case 0:
            return awkward[below(std::size(awkward))];
        case 1:
            return 4 * uniform() - 2;
        case 2:
            return static_cast<double>(below(200)) - 100;
        default: {
            const int exponent = static_cast<int>(below(40)) - 20; // drawn first, whatever the compiler
            return std::ldexp(2 * uniform() - 1, exponent);
        }
        }
    }

private:
    void grow(std::vector<formula::Node>& nodes, std::size_t size) {
        using formula::Op;
        static constexpr Op one[] = {Op::neg, Op::exp, Op::log, Op::sqrt, Op::abs, Op::tanh};
        static constexpr Op two[] = {Op::add, Op::sub, Op::mul, Op::div, Op::pow, Op::min,
                                     Op::max, Op::lt,  Op::le,  Op::gt,  Op::ge,  Op::eq};
        if (size <= 1) return leaf(nodes);
        const std::size_t kind = size == 2 ? 0 : below(size == 3 ? 9 : 10);
        if (kind < 2) {
            grow(nodes, size - 1);
            nodes.push_back({.op = one[below(std::size(one))]});
        } else if (kind < 9) {
            const std::size_t left = 1 + below(size - 2);
            grow(nodes, left);
            grow(nodes, size - 1 - left);
            nodes.push_back({.op = two[below(std::size(two))]});
        } else {
            const std::size_t first = 1 + below(size - 3);
            const std::size_t second = 1 + below(size - 2 - first);
            grow(nodes, first);
            grow(nodes, second);
            grow(nodes, size - 1 - first - second);
            nodes.push_back({.op = Op::select});
        }
    }
    void leaf(std::vector<formula::Node>& nodes) {
        using formula::Op;
        const std::size_t kind = below(20);
        if (kind < 8) {
            nodes.push_back({.op = Op::constant, .value = constant()});
        } else if (kind < 18) {
            const auto& all = columns::of_the_seed();
            nodes.push_back({.op = Op::column, .column = all[below(all.size())]});
        } else {
            nodes.push_back({.op = kind == 18 ? Op::keep : Op::drop});
        }
    }
    std::mt19937_64 random_;
};

} // namespace evictlab::testing
