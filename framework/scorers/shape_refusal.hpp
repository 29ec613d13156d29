// Which scorers cannot be had at a shape. SPDX-License-Identifier: MIT
#pragma once
#include <string>

#include "framework/cut/shape.hpp"
#include "framework/scorers/scorer.hpp"

namespace evictlab {

/// Why a scorer cannot be had at the shape ("gives heads different numbers of tokens, ..."), or "": those who share a
/// set keep the same number, and a threshold cuts single tokens.
std::string shape_refusal(const Scorer& scorer, const Shape& shape);

} // namespace evictlab
