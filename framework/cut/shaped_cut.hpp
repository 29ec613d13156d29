// The cut at an engine's grain: scores joined, then made into blocks, then the highest blocks, protected ones first.
// SPDX-License-Identifier: MIT
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "framework/cut/shape.hpp"

namespace evictlab {

/// Tokens that each KV head keeps: ascending positions, or slots of its cache.
using KeptSets = std::vector<std::vector<std::uint32_t>>;

/// Of one set: kept_blocks() blocks, those with protected tokens first, then those with the highest scores, of equal
/// ones the lower places; ascending positions of all their tokens. A block that holds a score of +inf has that, else,
/// by its mean or sum, one that holds -inf has that. No score is NaN. Throws UsageError as too_few() says.
std::vector<std::uint32_t> shaped_cut(std::span<const double> scores, std::size_t kept, const Shape& shape);

/// The same of several rows of n tokens that share the budget of `kept` tokens each, `scores` being [rows][n]: each row
/// by its own blocks.
KeptSets shaped_cut_together(std::span<const double> scores, std::size_t n, std::size_t kept, const Shape& shape);

/// What the heads of a layer keep by their scores [heads][n], where each may keep as many as `kept` [head] says. By
/// Granularity::layer, where all of these are the same, every head keeps the same set. Not for Granularity::model.
KeptSets layer_cut(std::span<const double> scores, std::span<const std::size_t> kept, const Shape& shape);

/// The set that all heads of all layers keep; `layers` are each layer's scores, [heads][n].
std::vector<std::uint32_t> model_cut(std::span<const std::span<const double>> layers, std::size_t n, std::size_t kept,
                                     const Shape& shape);

} // namespace evictlab
