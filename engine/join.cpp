// SPDX-License-Identifier: MIT
#include "engine/join.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numeric>

#include "base/option_error.hpp"
#include "base/text/suggestion.hpp"

namespace evictlab::engine {
namespace {

constexpr std::array<std::string_view, 3> names{"mean", "max", "rank"};

/// Ranks from 0 to 1, equal scores sharing the mean of theirs; infinite scores stay.
std::vector<double> ranks(const std::vector<double>& scores) {
    const std::size_t n = scores.size();
    std::vector<std::size_t> order(n);
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::ranges::sort(order, {}, [&](std::size_t i) { return scores[i]; });
    std::vector<double> out(n);
    for (std::size_t first = 0, last = 0; first < n; first = last) {
        while (last < n && scores[order[last]] == scores[order[first]]) ++last;
        const double middle = 0.5 * static_cast<double>(first + last - 1),
                     most = static_cast<double>(std::max<std::size_t>(n, 2) - 1);
        for (std::size_t i = first; i < last; ++i)
            out[order[i]] = std::isinf(scores[order[i]]) ? scores[order[i]] : middle / most;
    }
    return out;
}

} // namespace

Join join_named(const std::string& name) {
    for (std::size_t i = 0; i < names.size(); ++i)
        if (name == names[i]) return static_cast<Join>(i);
    const std::vector<std::string> all(names.begin(), names.end());
    throw OptionError("join", fmt::format("is '{}'{}", name, text::what_there_is(name, all, "way to join")));
}

std::string_view name_of(Join join) { return names[static_cast<std::size_t>(join)]; }

std::vector<double> joined(std::span<const std::vector<double>> rows, Join join) {
    constexpr double infinity = std::numeric_limits<double>::infinity();
    const std::size_t n = rows.front().size();
    std::vector<double> sum(n, join == Join::max ? -infinity : 0.0);
    std::vector<bool> always(n), first(n);
    for (const std::vector<double>& given : rows) {
        const std::vector<double> row = join == Join::rank ? ranks(given) : given;
        for (std::size_t i = 0; i < n; ++i) {
            always[i] = always[i] || row[i] == infinity;
            first[i] = first[i] || row[i] == -infinity;
            if (!std::isinf(row[i])) sum[i] = join == Join::max ? std::max(sum[i], row[i]) : sum[i] + row[i];
        }
    }
    for (std::size_t i = 0; i < n; ++i) {
        if (join != Join::max) sum[i] /= static_cast<double>(rows.size());
        if (always[i])
            sum[i] = infinity;
        else if (first[i] && join != Join::max)
            sum[i] = -infinity;
    }
    return sum;
}

std::vector<std::uint32_t> highest(std::span<const double> scores, std::size_t count) {
    std::vector<std::uint32_t> order(scores.size());
    std::iota(order.begin(), order.end(), 0U);
    std::ranges::stable_sort(order, std::ranges::greater{}, [&](std::uint32_t i) { return scores[i]; });
    order.resize(std::min(count, order.size()));
    std::ranges::sort(order);
    return order;
}

} // namespace evictlab::engine
