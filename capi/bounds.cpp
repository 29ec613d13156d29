// What no scorer decides: the sets of an oracle, and the names of budgets. SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "capi/guard.hpp"
#include "capi/selection.hpp"
#include "framework/cut/budget.hpp"

using namespace evictlab;

namespace {

KeptSets kept_by_oracle(std::span<const double> attention, std::size_t n, std::size_t keep, const Shape& shape,
                        bool together) {
    const std::size_t rows = attention.size() / n;
    if (together && shape.granularity == Granularity::head) return shaped_cut_together(attention, n, keep, shape);
    return layer_cut(attention, std::vector<std::size_t>(rows, keep), shape);
}

} // namespace

extern "C" {

evl_status evl_oracle_keep(const double* attention, uint64_t rows, uint64_t n, uint64_t keep, const evl_shape* shape,
                           uint32_t together, uint8_t* kept, evl_failure* failure) {
    return capi::guarded(failure, [&] {
        capi::require(attention, "attention");
        capi::require(shape, "shape");
        capi::require(kept, "kept");
        if (rows == 0 || n == 0 || n > std::numeric_limits<std::uint32_t>::max() ||
            rows > SIZE_MAX / sizeof(double) / n)
            throw UsageError(fmt::format("attention of {} rows of {} tokens cannot be", rows, n));
        const std::span<const double> given(attention, rows * n);
        if (!std::ranges::all_of(given, [](double value) { return std::isfinite(value); }))
            throw UsageError("attention: not all of it is finite");
        Shape cut = capi::shape_of(*shape);
        cut.join = Join::mean;
        cut.block_score = BlockScore::sum;
        const KeptSets sets = kept_by_oracle(given, n, std::min(n, keep), cut, together != 0);
        std::fill_n(kept, rows * n, std::uint8_t{0});
        for (std::size_t row = 0; row < rows; ++row)
            for (const std::uint32_t i : sets[row]) kept[row * n + i] = 1;
    });
}

evl_status evl_keep_names(const uint64_t* keep, uint64_t budgets, const uint64_t* prompts, uint64_t count,
                          double* names, evl_failure* failure) {
    return capi::guarded(failure, [&] {
        capi::require(keep, "keep");
        capi::require(prompts, "prompts");
        capi::require(names, "names");
        const std::vector<std::size_t> numbers(keep, keep + budgets), tokens(prompts, prompts + count);
        if (tokens.empty() || std::ranges::find(tokens, std::size_t{0}) != tokens.end())
            throw UsageError("prompts: there are none, or one has no tokens");
        std::ranges::copy(mean_shares(numbers, tokens), names);
    });
}

} // extern "C"
