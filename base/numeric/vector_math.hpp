// exp, log, pow and tanh as straight-line arithmetic, so that the compiler vectorises a loop over them and every
// processor gives the same bits. Within about one unit in the last place; pow within some 2e-13 where its result is
// near the ends of the range of a double. The way of log is fdlibm's. SPDX-License-Identifier: MIT
#pragma once
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

#include "base/numeric/clones.hpp"

namespace evictlab::vector_math {

inline constexpr double infinity = std::numeric_limits<double>::infinity();
inline constexpr double smallest_normal = std::numeric_limits<double>::min();
/// Added to a number below 2^51 it leaves the nearest integer in the low bits.
inline constexpr double rounder = 0x1.8p52;
inline constexpr double log2_e = 1.4426950408889634;
inline constexpr double ln_2_high = 6.93147180369123816490e-01; ///< 32 bits; the rest follows
inline constexpr double ln_2_low = 1.90821492927058770002e-10;

EVICTLAB_INLINE std::uint64_t bits_of(double x) { return std::bit_cast<std::uint64_t>(x); }
EVICTLAB_INLINE double from_bits(std::uint64_t bits) { return std::bit_cast<double>(bits); }
EVICTLAB_INLINE double clamp(double x, double low, double high) { // NaN stays
    const double above = x < low ? low : x;
    return above > high ? high : above;
}

/// 2^k, where k in [-1022, 1023] was rounded to an integer by adding `rounder`.
EVICTLAB_INLINE double power_of_two(double k_plus_rounder) { return from_bits((bits_of(k_plus_rounder) + 1023) << 52); }
/// x * 2^k for an integer k in [-2000, 2000]: in two steps, so that results may be subnormal or overflow.
EVICTLAB_INLINE double scale(double x, double k) {
    const double half = k * 0.5 + rounder;
    const double rest = (k - (half - rounder)) + rounder;
    return x * power_of_two(half) * power_of_two(rest);
}

/// (exp(r) - 1 - r) / r^2 for |r| <= ln(2)/2, within 2e-17 of exp(r).
EVICTLAB_INLINE double exp_tail(double r) {
    const double s = r * r;
    const double p8 = 2.7620085455018414e-07 + r * 2.510038319586702e-08;
    const double p6 = 2.4801521302241082e-05 + r * 2.7557268464831627e-06;
    const double p4 = 0.001388888891720967 + r * 0.00019841269863050506;
    const double p2 = 0.041666666666624136 + r * 0.008333333333330063;
    const double p0 = 0.5000000000000001 + r * 0.16666666666666669;
    return p0 + s * (p2 + s * (p4 + s * (p6 + s * p8)));
}

EVICTLAB_INLINE double exp(double x) {
    const double bounded = clamp(x, -750, 710);
    const double k = (bounded * log2_e + rounder) - rounder;
    const double r = (bounded - k * ln_2_high) - k * ln_2_low;
    return scale(1 + (r + r * r * exp_tail(r)), k);
}

/// x = m * 2^e with m in [sqrt(1/2), sqrt(2)), for normal x > 0.
struct Split {
    double m;
    double e;
};
EVICTLAB_INLINE Split split(double x) {
    constexpr std::uint64_t root_half = 0x3fe6a09e667f3bcdu;
    constexpr std::uint64_t bias = std::uint64_t(1024) << 52;
    const std::uint64_t shifted = bits_of(x) - root_half + bias;
    const double e = from_bits((shifted >> 52) | 0x4330000000000000u) - (0x1p52 + 1024);
    const double m = from_bits(bits_of(x) - (shifted & 0xfff0000000000000u) + bias);
    return {m, e};
}

/// log(1 + f) = f - f^2/2 + log_tail(f), for 1 + f in [sqrt(1/2), sqrt(2)).
EVICTLAB_INLINE double log_tail(double f) {
    const double s = f / (2 + f);
    const double z = s * s;
    const double w = z * z;
    const double odd = 6.666666666666735130e-01 +
                       w * (2.857142874366239149e-01 + w * (1.818357216161805012e-01 + w * 1.479819860511658591e-01));
    const double even = 3.999999999940941908e-01 + w * (2.222219843214978396e-01 + w * 1.531383769920937332e-01);
    return s * (0.5 * f * f + (z * odd + w * even));
}

/// ln of m * 2^e.
EVICTLAB_INLINE double log(const Split& x) {
    const double f = x.m - 1;
    return x.e * ln_2_high + (f - (0.5 * f * f - (log_tail(f) + x.e * ln_2_low)));
}

/// ln of x, of the smallest normal number where x is below it.
EVICTLAB_INLINE double log(double x) {
    const double bounded = x < smallest_normal ? smallest_normal : x;
    const double value = log(split(bounded));
    return bounded < infinity ? value : bounded;
}

/// exp(b ln size) for finite size > 0 and 0 <= |b| <= 2^70.
EVICTLAB_INLINE double power_of_positive(double size, double b) {
    const bool is_subnormal = size < smallest_normal;
    const auto [m, e] = split(is_subnormal ? size * 0x1p54 : size);
    return exp(b * log(Split{m, is_subnormal ? e - 54 : e}));
}

/// |a|^b for an exponent of ordinary size above 0, as most are: the same bits as power_of_size.
EVICTLAB_INLINE double power_of_size_above(double a, double b) {
    const double size = std::fabs(a);
    const double value = power_of_positive(size, b);
    return ((size > 0) & (size < infinity)) ? value : size;
}

/// |a|^b for any a, b: NaN where either is, 1 where b is 0, and 0 for a zero base whatever the exponent's sign. As
/// exp(b ln|a|) in plain doubles: the relative error is about that of ln|a| times |b ln|a||.
EVICTLAB_INLINE double power_of_size(double a, double b) {
    const double size = std::fabs(a);
    const double exponent = clamp(b, -0x1p70, 0x1p70);
    const double value = power_of_positive(size, exponent);
    const double at_ends = exponent == 0 ? 1.0 : exponent > 0 ? size : 0.0; // of a zero or infinite base
    const double result = size > 0 && size < infinity ? value : at_ends;
    return a == a && b == b ? result : a + b;
}

EVICTLAB_INLINE double tanh(double x) { // from exp(2|x|) - 1, which is exact enough where x is small
    const double doubled = clamp(2 * std::fabs(x), 0, 44);
    const double k_plus_rounder = doubled * log2_e + rounder;
    const double k = k_plus_rounder - rounder;
    const double r = (doubled - k * ln_2_high) - k * ln_2_low;
    const double two_to_k = power_of_two(k_plus_rounder);
    const double t = two_to_k * (r + r * r * exp_tail(r)) + (two_to_k - 1);
    return std::copysign(t / (t + 2), x);
}

} // namespace evictlab::vector_math
