// Which scorers cannot be had at a shape. SPDX-License-Identifier: MIT
#pragma once
#include <string>

#include "framework/cut/shape.hpp"
#include "framework/scorers/scorer_class.hpp"

namespace evictlab {

/// Why a scorer of this class cannot be had at the shape ("gives heads different numbers of tokens, ..."), or "": those
/// who share a set keep the same number.
std::string shape_refusal(const ScorerClass& scorer, const Shape& shape);

} // namespace evictlab
