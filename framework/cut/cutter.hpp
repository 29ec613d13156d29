// The cut: which tokens a score keeps at several nested budgets, and how much attention lies on them.
// SPDX-License-Identifier: MIT
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "framework/cut/rank_kernels.hpp"

namespace evictlab {

/// Cuts row after row of one scorer's scores. Among equal scores the lower position is kept. Remembers where the last
/// row was cut, because the next one is cut near there: that makes a row cheap and never changes what it returns.
/// Not thread-safe.
class Cutter {
public:
    explicit Cutter(std::size_t budgets) : guesses_(budgets) {}

    static constexpr std::size_t no_nan = static_cast<std::size_t>(-1);
    /// kept_mass[b] = sum of mass over the kept[b] highest scores (1 <= kept[b] <= n). Both arrays are readable, and
    /// `scores` is writable, up to padded(n). Returns no_nan, or the position of the first NaN score, and then no sums.
    std::size_t cut(double* scores, const double* mass, std::size_t n, std::span<const std::size_t> kept,
                    double* kept_mass);

private:
    struct Guess { ///< scores between which the last cut fell
        double low = 0, high = 0;
        double tied = 0; ///< the score that many tokens shared at the last cut, where `is_tied`
        bool known = false, is_tied = false;
        std::uint32_t pause = 0;  ///< rows to go before a bracket is guessed again, as guessing failed
        std::uint32_t misses = 0; ///< of late
    };
    struct Cut { ///< the k-th highest score and how many of its equals are kept
        double score;
        std::size_t equals, kept_equals;
    };
    struct Brackets;
    void find_cuts(const double* scores, std::size_t n, std::span<const std::size_t> kept, std::span<Guess> guesses,
                   Cut* cuts);
    static bool cut_tied(const double* scores, std::size_t n, std::size_t kept, double value, Cut& cut);
    static Cut cut_sorted(std::span<const double> values, std::size_t kept, Guess& guess);
    Cut cut_crowded(const double* scores, std::size_t n, std::size_t kept, Range range, Guess& guess);
    Cut cut_by_sorting(const double* scores, std::size_t n, std::size_t kept, Guess& guess);

    std::vector<Guess> guesses_;
    KeyScale small_guess_;
    std::vector<double> scratch_;
};

} // namespace evictlab
