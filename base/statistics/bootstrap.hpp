// Uncertainty of means over documents: a paired bootstrap with percentile intervals (Efron and Tibshirani 1993, An
// Introduction to the Bootstrap, chapter 13). Documents are drawn, never tokens, heads or layers: those of one document
// depend on each other.
// SPDX-License-Identifier: MIT
#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

namespace evictlab {

struct Interval {
    double low = 0, high = 0;
    bool below(double value) const { return high < value; }
    bool above(double value) const { return low > value; }
};

/// A figure, and where there is any the interval that holds it in 95 of 100 cases.
struct Estimate {
    double value = 0;
    std::optional<Interval> interval;
};

/// With fewer documents than this nothing is called a win: that all of them lie on one side happens by chance in
/// 2 * 2^-documents of the cases, which is 5 % or less from six on.
inline constexpr std::size_t documents_for_a_claim = 6;

/// The draws for so many documents: the same for every row (so that rows are compared on the same documents), every
/// call and every machine, whatever the threads. Immutable once made, so safe to share.
class Bootstrap {
public:
    static constexpr std::size_t draws = 10'000;

    explicit Bootstrap(std::size_t documents);
    std::size_t documents() const { return documents_; }

    /// The mean, with the interval from 2.5 % to 97.5 % of the draws' means. One value a document, all finite; throws
    /// std::invalid_argument for another number of them. No interval for fewer than two documents. A difference of two
    /// rows is the mean of the documents' differences.
    Estimate mean(std::span<const double> values) const;
    /// The geometric mean of a divided by that of b, as mean() of log_divergence().
    Estimate ratio(std::span<const double> a, std::span<const double> b) const;

private:
    std::size_t documents_;
    std::vector<std::uint32_t> drawn_; ///< [draw][document], indices of documents
};

/// Of documents in groups, as of several suites: of each group as many are drawn as it has, with the draws that
/// Bootstrap has for one. `statistic` gets indices, group after group; of every document once it is the estimate. No
/// interval where a group has fewer than two.
Estimate grouped_bootstrap(std::span<const std::size_t> groups,
                           const std::function<double(std::span<const std::uint32_t>)>& statistic);

} // namespace evictlab
