// SPDX-License-Identifier: MIT
#include "framework/cut/cutter.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>

#include "base/numeric/aligned.hpp"
#include "framework/cut/rank_kernels.hpp"

namespace evictlab {
namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();
constexpr double nan = std::numeric_limits<double>::quiet_NaN();
constexpr std::size_t reach = 5;     // a bracket spans so many scores on each side of a cut
constexpr std::size_t many_ties = 8; // from here on the tied score itself is tried first
constexpr std::uint32_t longest_pause = 63;

/// The bracket doubled on the side where it held too few scores to know the neighbours.
double widened(double cut, double edge) { return std::isfinite(edge - cut) ? cut + 2 * (edge - cut) : edge; }

} // namespace

std::size_t Cutter::cut(double* scores, const double* mass, std::size_t n, std::span<const std::size_t> kept,
                        double* kept_mass) {
    const auto first_nan = [&] {
        return static_cast<std::size_t>(std::find_if(scores, scores + n, [](double s) { return s != s; }) - scores);
    };
    if (n <= small_row) return cut_small(scores, mass, n, kept, small_guess_, kept_mass) ? no_nan : first_nan();
    if (count_nan(scores, n) != 0) return first_nan();
    std::fill(scores + n, scores + padded(n), nan); // which no comparison counts
    for (std::size_t first = 0; first < kept.size(); first += max_budgets) {
        const std::size_t budgets = std::min(max_budgets, kept.size() - first);
        Cut cuts[max_budgets];
        double threshold[max_budgets];
        find_cuts(scores, n, kept.subspan(first, budgets), std::span(guesses_).subspan(first, budgets), cuts);
        for (std::size_t b = 0; b < budgets; ++b) {
            const Cut& c = cuts[b];
            const bool all_equals = c.equals == c.kept_equals;
            threshold[b] = all_equals ? c.score : c.score == infinity ? nan : std::nextafter(c.score, infinity);
        }
        sum_above(scores, mass, n, threshold, budgets, kept_mass + first);
        for (std::size_t b = 0; b < budgets; ++b)
            if (cuts[b].equals != cuts[b].kept_equals)
                kept_mass[first + b] += sum_first_equal(scores, mass, n, cuts[b].score, cuts[b].kept_equals);
    }
    return no_nan;
}

/// Brackets of the budgets that are still to be cut, side by side as collect() wants them.
struct Cutter::Brackets {
    double low[max_budgets], high[max_budgets];
    std::size_t budget[max_budgets];
    std::size_t size = 0;

    void add(std::size_t of_budget, double from, double to) {
        low[size] = from;
        high[size] = to;
        budget[size++] = of_budget;
    }

    /// Cuts where the bracket holds the cut and not too many scores; `missed(budget, a score in the bracket)`
    /// elsewhere.
    template <class Missed>
    void cut(const double* scores, std::size_t n, std::span<const std::size_t> kept, std::span<Guess> guesses,
             Cut* cuts, Missed missed) {
        if (size == 0) return;
        std::size_t above[max_budgets], found[max_budgets];
        double collected[max_budgets][collect_room];
        collect(scores, n, low, high, size, above, found, collected);
        for (std::size_t i = 0; i < size; ++i) {
            const std::size_t b = budget[i];
            if (kept[b] <= above[i] || kept[b] > above[i] + found[i] || found[i] > collect_cap) {
                missed(b, i);
                continue;
            }
            sort_small(collected[i], found[i]);
            cuts[b] = cut_sorted({collected[i], found[i]}, kept[b] - above[i], guesses[b]);
        }
    }
};

// Three ways, the cheap one first: at the score that was tied at the last cut; in the bracket around the last cut; in a
// bracket from a histogram of the scores.
void Cutter::find_cuts(const double* scores, std::size_t n, std::span<const std::size_t> kept, std::span<Guess> guesses,
                       Cut* cuts) {
    Brackets guessed;
    std::size_t left[max_budgets], left_count = 0;
    for (std::size_t b = 0; b < kept.size(); ++b) {
        Guess& guess = guesses[b];
        if (guess.is_tied && cut_tied(scores, n, kept[b], guess.tied, cuts[b])) continue;
        if (guess.known && !guess.is_tied && guess.pause == 0)
            guessed.add(b, guess.low, guess.high);
        else
            left[left_count++] = b;
        if (guess.pause > 0) --guess.pause;
    }
    std::size_t guess_missed = 0;
    guessed.cut(scores, n, kept, guesses, cuts, [&](std::size_t b, std::size_t) {
        ++guess_missed;
        guesses[b].misses = std::min(2 * guesses[b].misses + 1, longest_pause);
        guesses[b].pause = guesses[b].misses > 3 ? guesses[b].misses : 0;
        left[left_count++] = b;
    });
    if (guess_missed == 0)
        for (std::size_t i = 0; i < guessed.size; ++i) guesses[guessed.budget[i]].misses /= 2;
    if (left_count == 0) return;
    std::size_t kept_left[max_budgets];
    for (std::size_t i = 0; i < left_count; ++i) kept_left[i] = kept[left[i]];
    Brackets measured;
    histogram_brackets(scores, n, range_of(scores, n), kept_left, left_count, reach, measured.low, measured.high);
    measured.size = left_count;
    std::copy(left, left + left_count, measured.budget);
    std::size_t crowded[max_budgets], crowded_count = 0;
    double crowded_low[max_budgets], crowded_high[max_budgets];
    measured.cut(scores, n, kept, guesses, cuts, [&](std::size_t b, std::size_t i) {
        crowded_low[crowded_count] = measured.low[i];
        crowded_high[crowded_count] = measured.high[i];
        crowded[crowded_count++] = b;
    });
    for (std::size_t i = 0; i < crowded_count; ++i) {
        const std::size_t b = crowded[i];
        cuts[b] = cut_crowded(scores, n, kept[b], {crowded_low[i], crowded_high[i]}, guesses[b]);
    }
}

/// A cut in a bracket that holds many scores: equal ones, or ones close together beside far outliers.
Cutter::Cut Cutter::cut_crowded(const double* scores, std::size_t n, std::size_t kept, Range range, Guess& guess) {
    constexpr int narrowings = 4;
    for (int i = 0; i < narrowings; ++i) {
        Cut cut{};
        for (const double value : {range.lowest, range.highest}) {
            guess.is_tied = cut_tied(scores, n, kept, value, cut);
            guess.tied = value;
            if (guess.is_tied) return cut;
        }
        Brackets narrower;
        narrower.add(0, 0, 0);
        histogram_brackets(scores, n, range, &kept, 1, reach, narrower.low, narrower.high);
        bool done = true;
        narrower.cut(scores, n, {&kept, 1}, {&guess, 1}, &cut, [&done](std::size_t, std::size_t) { done = false; });
        if (done) return cut;
        range = {narrower.low[0], narrower.high[0]};
    }
    return cut_by_sorting(scores, n, kept, guess);
}

bool Cutter::cut_tied(const double* scores, std::size_t n, std::size_t kept, double value, Cut& cut) {
    const Counts c = count(scores, n, value);
    if (kept <= c.above || kept > c.above + c.equal) return false;
    cut = {value, c.equal, kept - c.above};
    return true;
}

/// The cut among `values`, highest first, and the bracket for the next row.
Cutter::Cut Cutter::cut_sorted(std::span<const double> values, std::size_t kept, Guess& guess) {
    const std::size_t at = kept - 1;
    const double score = values[at];
    std::size_t first = at, last = kept;
    while (first > 0 && values[first - 1] == score) --first;
    while (last < values.size() && values[last] == score) ++last;
    guess.high = at >= reach ? values[at - reach] : widened(score, values.front());
    guess.low = at + reach < values.size() ? values[at + reach] : widened(score, values.back());
    guess.known = true;
    guess.is_tied = last - first >= many_ties;
    guess.tied = score;
    return {score, last - first, kept - first};
}

Cutter::Cut Cutter::cut_by_sorting(const double* scores, std::size_t n, std::size_t kept, Guess& guess) {
    scratch_.assign(scores, scores + n);
    std::ranges::sort(scratch_, std::greater<>());
    return cut_sorted(scratch_, kept, guess);
}

} // namespace evictlab
