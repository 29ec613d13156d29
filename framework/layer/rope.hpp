// RoPE in double precision, in the half-split form: pair m of a vector is its channels m and m + dim/2.
// SPDX-License-Identifier: MIT
#pragma once
#include <cstddef>
#include <vector>

#include "framework/layer/layer.hpp"

namespace evictlab {

/// A rotation of each pair; not orthogonal where it is a mean of several.
struct Rotation {
    explicit Rotation(std::size_t dim) : cosine(dim / 2), sine(dim / 2) {}
    std::vector<double> cosine, sine; ///< [dim / 2]

    void apply(const double* x, double* out) const; ///< x and out are [dim] and do not overlap
};

/// Sets the rotation that undoes what RoPE does at a position, its scale included.
void set_back_from(const HeadTensors& tensors, double position, Rotation& rotation);
/// Sets the mean rotation of the positions from .. from + future - 1: it shrinks.
void set_mean(const HeadTensors& tensors, std::size_t from, std::size_t future, Rotation& rotation);

} // namespace evictlab
