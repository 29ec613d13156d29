// Figures over documents, as reports have them. SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>

#include "base/statistics/bootstrap.hpp"
#include "capi/guard.hpp"

using namespace evictlab;

namespace {

constexpr std::uint64_t most_documents = 10'000; // draws of each are held in memory

} // namespace

extern "C" evl_status evl_mean_interval(const double* values, uint64_t count, double* mean, double* low, double* high,
                                        evl_failure* failure) {
    return capi::guarded(failure, [&] {
        capi::require(values, "values");
        capi::require(mean, "mean");
        capi::require(low, "low");
        capi::require(high, "high");
        if (count < 1 || count > most_documents)
            throw UsageError(fmt::format("count is {}, but must be 1 to {}", count, most_documents));
        const std::span<const double> given(values, count);
        if (!std::ranges::all_of(given, [](double value) { return std::isfinite(value); }))
            throw UsageError("values: not all are finite");
        const Estimate found = Bootstrap(count).mean(given);
        constexpr double none = std::numeric_limits<double>::quiet_NaN();
        const Interval interval = found.interval.value_or(Interval{none, none});
        *mean = found.value, *low = interval.low, *high = interval.high;
    });
}
