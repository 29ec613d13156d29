// Registers of four doubles for the loops of the cut, by the compilers' vector extensions: on every processor the same
// operations in the same order. Only for functions under EVICTLAB_CLONES, into which all of this is inlined.
// SPDX-License-Identifier: MIT
#pragma once
#include <cstddef>
#include <cstdint>

#include "base/numeric/clones.hpp"

namespace evictlab {

// Four lanes a register; two registers make the eight running sums that fix the order of additions.
using Values = double __attribute__((vector_size(32)));
using Mask = std::int64_t __attribute__((vector_size(32)));
inline constexpr std::size_t lanes = 4;

EVICTLAB_INLINE Values load(const double* p) {
    Values v;
    __builtin_memcpy(&v, p, sizeof v);
    return v;
}

EVICTLAB_INLINE Values masked(Values v, Mask m) {
    Mask bits;
    __builtin_memcpy(&bits, &v, sizeof v);
    bits &= m;
    Values out;
    __builtin_memcpy(&out, &bits, sizeof v);
    return out;
}

EVICTLAB_INLINE double total(Values a, Values b) {
    return ((a[0] + a[1]) + (a[2] + a[3])) + ((b[0] + b[1]) + (b[2] + b[3]));
}

EVICTLAB_INLINE std::size_t count_of(Mask m) { return static_cast<std::size_t>(-(m[0] + m[1] + m[2] + m[3])); }

EVICTLAB_INLINE Values everywhere(double value) { return Values{value, value, value, value}; }

} // namespace evictlab
