// What a caller asks for at a shape, and the answers until all went well. SPDX-License-Identifier: MIT
#pragma once
#include <evictlab/evictlab.h>

#include <cstdint>
#include <span>
#include <vector>

#include "capi/open_scorer.hpp"
#include "framework/cut/shaped_cut.hpp"

namespace evictlab::capi {

/// The structure as this library knows it, what the caller does not know being 0. UsageError where it is NULL.
evl_selection checked(const evl_selection* given, const char* name);
/// UsageError for what is no shape.
Shape shape_of(const evl_shape& given);
/// UsageError for what is no shape, or one that the scorer cannot be had at.
Shape shape_of(const evl_selection& selection, const evl_scorer& scorer);
/// The shares that go of n tokens. UsageError unless `removed` or `keep` says so.
std::vector<double> removed_fractions(const evl_selection& selection, std::size_t n);

/// Answers of one layer, [budget].
class Selected {
public:
    void add(KeptSets sets, std::span<const double> scores);
    /// UsageError for an array that is missing; before anything is written.
    static void check(const evl_selection& into);
    void write(const evl_selection& into, std::size_t tokens) const;

private:
    std::vector<KeptSets> sets_;
    std::vector<std::vector<double>> scores_;
};

} // namespace evictlab::capi
