// The cut at an engine's grain, straight from its definition in docs/shapes.md: slow, and shares no code with the fast
// one. SPDX-License-Identifier: MIT
#pragma once
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "framework/cut/shape.hpp"

namespace evictlab::test {

/// Rows of n, each a layer and head, made one.
std::vector<double> slow_joined(const std::vector<std::vector<double>>& rows, Join join);
/// Nothing where more is protected than is kept.
std::optional<std::vector<std::uint32_t>> slow_cut(const std::vector<double>& scores, std::size_t kept,
                                                   const Shape& shape);
/// By head or layer; `scores` are [heads][n].
std::optional<std::vector<std::vector<std::uint32_t>>> slow_layer_cut(std::span<const double> scores, std::size_t heads,
                                                                      std::size_t kept, const Shape& shape);

} // namespace evictlab::test
