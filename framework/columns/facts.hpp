// What is true of all values that a column can have, by its definition: what formulas are simplified by.
// SPDX-License-Identifier: MIT
#pragma once
#include <limits>

#include "framework/columns/column.hpp"

namespace evictlab {

struct ColumnFacts {
    double low = -std::numeric_limits<double>::infinity(); ///< inclusive bounds of all that is a number
    double high = std::numeric_limits<double>::infinity();
    bool nan = true;           ///< whether it may be none
    bool negative_zero = true; ///< whether a zero may be -0
};

namespace columns {
/// Nothing is claimed of a column that says nothing.
ColumnFacts facts(ColumnId id);
} // namespace columns

} // namespace evictlab
