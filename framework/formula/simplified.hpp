// A shorter formula with the same scores to the bit, by what is true of its columns: for people, and for what leaves.
// SPDX-License-Identifier: MIT
#pragma once
#include "framework/formula/formula.hpp"

namespace evictlab::formula {

/// Parts are left out that never decide and never change a value: branches that cannot be taken, bounds that hold
/// anyway, sizes of what is not negative, constants of constants. For all values that columns can have (facts.hpp)
/// evaluating gives the same bits. Never larger; other formulas of the same scores may be smaller still.
Formula simplified(const Formula& formula);

} // namespace evictlab::formula
