// SPDX-License-Identifier: MIT
#include "framework/formula/range.hpp"

#include <algorithm>
#include <cmath>
#include <initializer_list>

#include "framework/formula/kernels.hpp"

namespace evictlab::formula {
namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

bool reaches(const Range& range, double end) { return end > 0 ? range.high == infinity : range.low == -infinity; }
bool is_endless(const Range& range) { return reaches(range, 1) || reaches(range, -1); }

Range truth(double low, double high) { return {low, high, false, false}; }

Range sum(const Range& a, const Range& b) {
    Range range{a.low + b.low, a.high + b.high, a.nan || b.nan, a.negative_zero && b.negative_zero};
    if ((reaches(a, 1) && reaches(b, -1)) || (reaches(a, -1) && reaches(b, 1))) range.nan = true;
    if (std::isnan(range.low)) range.low = -infinity;
    if (std::isnan(range.high)) range.high = infinity;
    return range;
}

Range negative(const Range& a) { return {-a.high, -a.low, a.nan, has_zero(a)}; }

/// Of the results at the four corners; those that are no number are 0, which lies between the others.
Range hull(std::initializer_list<double> corners) {
    Range range{infinity, -infinity, false, false};
    for (const double corner : corners) {
        const double value = std::isnan(corner) ? 0 : corner;
        range.low = std::min(range.low, value);
        range.high = std::max(range.high, value);
    }
    return range;
}

Range product(const Range& a, const Range& b) {
    Range range = hull({a.low * b.low, a.low * b.high, a.high * b.low, a.high * b.high});
    range.nan = a.nan || b.nan || (has_zero(a) && is_endless(b)) || (has_zero(b) && is_endless(a));
    range.negative_zero = !(from_zero(a) && from_zero(b)) && !(a.high < 0 && b.high < 0);
    return range;
}

Range quotient(const Range& a, const Range& b) {
    Range range;
    if (!has_zero(b))
        range = hull({a.low / b.low, a.low / b.high, a.high / b.low, a.high / b.high});
    else if (a.low >= 0 && b.low >= 0)
        range.low = 0;
    range.nan = a.nan || b.nan || (is_endless(a) && is_endless(b));
    range.negative_zero = !(from_zero(a) && b.low >= 0);
    return range;
}

Range power(const Range& a, const Range& b) {
    const Power kind = b.low == b.high && !b.nan ? power_for(b.low) : Power::any;
    const bool of_size = kind == Power::even || kind == Power::fraction || kind == Power::two || kind == Power::half;
    const bool not_below = of_size || from_zero(a);
    return {not_below ? 0 : -infinity, infinity, a.nan || b.nan, !not_below};
}

Range of_one(Op op, const Range& a) {
    switch (op) {
    case Op::neg:
        return negative(a);
    case Op::exp:
        return {0, infinity, a.nan, false};
    case Op::log: // of the smallest normal number where a is below it: -708.4
        return {-709, infinity, a.nan, true};
    case Op::sqrt:
        return {std::sqrt(std::max(a.low, 0.0)), std::sqrt(std::max(a.high, 0.0)), a.nan, a.negative_zero};
    case Op::abs:
        return {has_zero(a) ? 0 : std::min(std::fabs(a.low), std::fabs(a.high)),
                std::max(std::fabs(a.low), std::fabs(a.high)), a.nan, false};
    default: // tanh, which has the sign of a
        return {from_zero(a) ? 0.0 : -1.0, a.high < 0 ? 0.0 : 1.0, a.nan, !from_zero(a)};
    }
}

/// NaN compares with nothing: what is always so where both are numbers may still be 0, what never is so is 0.
Range comparison(bool always, bool never, const Range& a, const Range& b) {
    if (never) return truth(0, 0);
    return always && !a.nan && !b.nan ? truth(1, 1) : truth(0, 1);
}

} // namespace

Range range_of_constant(double value) { return {value, value, false, value == 0 && std::signbit(value)}; }

Range united(const Range& a, const Range& b) {
    return {std::min(a.low, b.low), std::max(a.high, b.high), a.nan || b.nan, a.negative_zero || b.negative_zero};
}

std::optional<double> only_value(const Range& range) {
    if (range.nan || range.low != range.high) return std::nullopt;
    if (range.low == 0) return range.negative_zero ? std::nullopt : std::optional(0.0);
    return range.low;
}

Range range_of(Op op, const Range& a, const Range& b, const Range& c) {
    switch (op) {
    case Op::constant:
    case Op::column:
        return a;
    case Op::keep:
    case Op::drop:
        return range_of_constant(compute(op, 0, 0, 0));
    case Op::add:
        return sum(a, b);
    case Op::sub: {
        Range range = sum(a, negative(b));
        range.negative_zero = a.negative_zero && has_zero(b);
        return range;
    }
    case Op::mul:
        return product(a, b);
    case Op::div:
        return quotient(a, b);
    case Op::pow:
        return power(a, b);
    case Op::min:
        return {std::min(a.low, b.low), std::min(a.high, b.high), a.nan || b.nan, a.negative_zero || b.negative_zero};
    case Op::max:
        return {std::max(a.low, b.low), std::max(a.high, b.high), a.nan || b.nan, a.negative_zero || b.negative_zero};
    case Op::lt:
        return comparison(a.high < b.low, a.low >= b.high, a, b);
    case Op::le:
        return comparison(a.high <= b.low, a.low > b.high, a, b);
    case Op::gt:
        return comparison(b.high < a.low, b.low >= a.high, a, b);
    case Op::ge:
        return comparison(b.high <= a.low, b.low > a.high, a, b);
    case Op::eq:
        return comparison(a.low == a.high && b.low == b.high && a.low == b.low, a.high < b.low || b.high < a.low, a, b);
    case Op::select:
        return united(b, c);
    default:
        return of_one(op, a);
    }
}

} // namespace evictlab::formula
