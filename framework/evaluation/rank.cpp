// SPDX-License-Identifier: MIT
#include "framework/evaluation/rank.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>

#include "framework/evaluation/rank_kernels.hpp"
#include "framework/suite/trace.hpp"

namespace evictlab {
namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();
constexpr double nan = std::numeric_limits<double>::quiet_NaN();
constexpr std::size_t reach = 6;     // a bracket spans so many scores on each side of the last cut
constexpr std::size_t many_ties = 8; // from here on the tied score itself is tried first

/// The bracket doubled on the side where it held too few scores to know the neighbours.
double widened(double cut, double edge) { return std::isfinite(edge - cut) ? cut + 2 * (edge - cut) : edge; }

} // namespace

std::size_t kept_count(std::size_t n, double retention) {
    const auto k = static_cast<std::size_t>(std::ceil(static_cast<double>(n) * retention));
    return std::clamp<std::size_t>(k, 1, n);
}

std::size_t Ranker::cut(double* scores, const double* mass, std::size_t n, std::span<const std::size_t> kept,
                        double* kept_mass) {
    const auto first_nan = [&] {
        return static_cast<std::size_t>(std::find_if(scores, scores + n, [](double s) { return s != s; }) - scores);
    };
    if (n <= small_row) return cut_small(scores, mass, n, kept.data(), kept.size(), kept_mass) ? no_nan : first_nan();
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

void Ranker::find_cuts(const double* scores, std::size_t n, std::span<const std::size_t> kept, std::span<Guess> guesses,
                       Cut* cuts) {
    double low[max_budgets], high[max_budgets];
    bool done[max_budgets] = {};
    std::size_t brackets = 0;
    std::size_t budget_of[max_budgets];
    for (std::size_t b = 0; b < kept.size(); ++b) {
        const Guess& guess = guesses[b];
        if (guess.is_tied) {
            const Counts c = count(scores, n, guess.tied);
            done[b] = c.above < kept[b] && kept[b] <= c.above + c.equal;
            if (done[b]) cuts[b] = {guess.tied, c.equal, kept[b] - c.above};
        } else if (guess.known) {
            low[brackets] = guess.low;
            high[brackets] = guess.high;
            budget_of[brackets++] = b;
        }
    }
    if (brackets > 0) {
        std::size_t above[max_budgets], found[max_budgets];
        double collected[max_budgets][collect_cap + 4];
        collect(scores, n, low, high, brackets, above, found, collected);
        for (std::size_t i = 0; i < brackets; ++i) {
            const std::size_t b = budget_of[i];
            if (found[i] > collect_cap || kept[b] <= above[i] || kept[b] > above[i] + found[i]) continue;
            cuts[b] = cut_among({collected[i], found[i]}, kept[b] - above[i], guesses[b]);
            done[b] = true;
        }
    }
    for (std::size_t b = 0; b < kept.size(); ++b)
        if (!done[b]) cuts[b] = cut_by_selection(scores, n, kept[b], guesses[b]);
}

Ranker::Cut Ranker::cut_among(std::span<double> collected, std::size_t kept_of_them, Guess& guess) {
    std::ranges::sort(collected, std::greater<>());
    const std::size_t at = kept_of_them - 1;
    const double score = collected[at];
    const auto [first, last] = std::ranges::equal_range(collected, score, std::greater<>());
    const auto equals = static_cast<std::size_t>(last - first);
    guess.high = at >= reach ? collected[at - reach] : widened(score, guess.high);
    guess.low = at + reach < collected.size() ? collected[at + reach] : widened(score, guess.low);
    guess.is_tied = equals >= many_ties;
    guess.tied = score;
    return {score, equals, kept_of_them - static_cast<std::size_t>(first - collected.begin())};
}

Ranker::Cut Ranker::cut_by_selection(const double* scores, std::size_t n, std::size_t kept, Guess& guess) {
    scratch_.assign(scores, scores + n);
    const auto nth = [this](std::size_t begin, std::size_t at, std::size_t end) {
        const auto base = scratch_.begin();
        std::nth_element(base + static_cast<std::ptrdiff_t>(begin), base + static_cast<std::ptrdiff_t>(at),
                         base + static_cast<std::ptrdiff_t>(end), std::greater<>());
        return scratch_[at];
    };
    const std::size_t at = kept - 1;
    const double score = nth(0, at, n);
    guess.high = at >= reach ? nth(0, at - reach, at) : infinity;
    guess.low = at + reach < n ? nth(at + 1, at + reach, n) : -infinity;
    const Counts c = count(scores, n, score);
    guess.known = true;
    guess.is_tied = c.equal >= many_ties;
    guess.tied = score;
    return {score, c.equal, kept - c.above};
}

} // namespace evictlab
