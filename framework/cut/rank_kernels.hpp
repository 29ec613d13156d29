// The inner loops of the cut. All arrays are readable to padded(n).
// SPDX-License-Identifier: MIT
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>

namespace evictlab {

inline constexpr std::size_t small_row = 64;   ///< rows up to here are ranked by comparing all pairs
inline constexpr std::size_t max_budgets = 4;  ///< a pass serves so many at most
inline constexpr std::size_t collect_cap = 96; ///< values kept a bracket; more are only counted
inline constexpr std::size_t collect_room = collect_cap + 16;

/// Sum over n values, in a fixed order whatever the processor.
double sum(const double* values, std::size_t n);

/// How scores of a short row are made small integers, coarsely: towards zero, (score - middle) * steps.
struct KeyScale {
    double middle = 0, steps = 0; ///< no steps: not known
};

/// kept_mass[b] = sum of mass where fewer than kept[b] tokens come before in (score down, position up). n <= small_row.
/// False where a score is NaN. `guess` comes from the row before and goes to the next one: that makes a row cheap and
/// never changes a sum.
bool cut_small(const double* scores, const double* mass, std::size_t n, std::span<const std::size_t> kept,
               KeyScale& guess, double* kept_mass);
/// The same, slower, where no score is NaN.
void cut_small_by_scores(const double* scores, const double* mass, std::size_t n, std::span<const std::size_t> kept,
                         double* kept_mass);

/// sums[b] = sum of mass where score >= threshold[b] (never where either is NaN).
void sum_above(const double* scores, const double* mass, std::size_t n, const double* threshold, std::size_t budgets,
               double* sums);

struct Counts {
    std::size_t above, equal;
};
/// Scores above and equal to a value; NaN counts as neither.
Counts count(const double* scores, std::size_t n, double value);
std::size_t count_nan(const double* scores, std::size_t n);

/// Sum of mass over the first `wanted` scores equal to `value`.
double sum_first_equal(const double* scores, const double* mass, std::size_t n, double value, std::size_t wanted);

/// Sorts at most collect_cap values, none of them NaN, highest first. `values` has room for collect_room.
void sort_small(double* values, std::size_t count);

struct Range {
    double lowest, highest;
};
/// n is above small_row, and no score is NaN.
Range range_of(const double* scores, std::size_t n);

/// Narrower brackets within a range that holds the kept[b]-th highest scores: around each of them with some `reach`
/// scores on either side where there are so many. Costs little; a bracket that still holds many scores may be narrowed
/// again.
void histogram_brackets(const double* scores, std::size_t n, Range range, const std::size_t* kept, std::size_t budgets,
                        std::size_t reach, double* low, double* high);

/// For each bracket b: above[b] = scores over high[b]; found[b] = scores in [low[b], high[b]], of which the first
/// collect_cap are written to collected[b].
void collect(const double* scores, std::size_t n, const double* low, const double* high, std::size_t brackets,
             std::size_t* above, std::size_t* found, double (*collected)[collect_room]);

} // namespace evictlab
