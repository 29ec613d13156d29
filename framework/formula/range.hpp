// Between what a formula's values lie, by the arithmetic that gives them: rounding is monotone, so that bounds computed
// in doubles hold to the bit. SPDX-License-Identifier: MIT
#pragma once
#include <optional>

#include "framework/columns/facts.hpp"
#include "framework/formula/formula.hpp"

namespace evictlab::formula {

/// Of all tokens' values: those that are numbers lie within; -0 and NaN are among them only where that is said.
using Range = ColumnFacts;

Range range_of_constant(double value);
Range united(const Range& a, const Range& b);

/// Of an operator's results on values of these ranges.
Range range_of(Op op, const Range& a, const Range& b, const Range& c);

/// The one value that there can be, with its bits; nothing where there are several, or -0 and 0.
std::optional<double> only_value(const Range& range);

inline bool has_zero(const Range& range) { return range.low <= 0 && range.high >= 0; }
/// Neither below zero nor -0.
inline bool from_zero(const Range& range) { return range.low >= 0 && !range.negative_zero; }

} // namespace evictlab::formula
