// SPDX-License-Identifier: MIT
#include "tests/support/slow_shapes.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

namespace evictlab::test {
namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

/// What a row says of a token when it is joined.
double told(const std::vector<double>& row, std::size_t i, Join join) {
    if (std::isinf(row[i])) return row[i];
    double below = 0, equal = 0, sum = 0;
    for (const double other : row) {
        below += other < row[i] ? 1 : 0;
        equal += other == row[i] ? 1 : 0;
        sum += std::isinf(other) ? 0 : std::abs(other);
    }
    if (join == Join::rank)
        return (below + (equal - 1) / 2) / static_cast<double>(std::max<std::size_t>(row.size(), 2) - 1);
    if (join == Join::share) return sum > 0 ? row[i] / sum : 0;
    return row[i];
}

double block_value(const std::vector<double>& scores, std::size_t first, std::size_t end, BlockScore by) {
    double sum = 0, highest = -infinity;
    bool always = false, never = false;
    for (std::size_t i = first; i < end; ++i) {
        always = always || scores[i] == infinity;
        never = never || scores[i] == -infinity;
        highest = std::max(highest, scores[i]);
        sum += scores[i];
    }
    if (by == BlockScore::max) return highest;
    return always ? infinity : never ? -infinity : by == BlockScore::sum ? sum : sum / static_cast<double>(end - first);
}

} // namespace

std::vector<double> slow_joined(const std::vector<std::vector<double>>& rows, Join join) {
    std::vector<double> out;
    for (std::size_t i = 0; i < rows[0].size(); ++i) {
        double sum = 0, highest = -infinity;
        bool always = false, never = false;
        for (const auto& row : rows) {
            const double score = told(row, i, join);
            always = always || score == infinity;
            never = never || score == -infinity;
            highest = std::max(highest, score);
            sum += score;
        }
        if (join == Join::max)
            out.push_back(highest);
        else
            out.push_back(always ? infinity : never ? -infinity : sum / static_cast<double>(rows.size()));
    }
    return out;
}

std::optional<std::vector<std::uint32_t>> slow_cut(const std::vector<double>& scores, std::size_t kept,
                                                   const Shape& shape) {
    const std::size_t n = scores.size();
    std::size_t blocks_left = kept / shape.block;
    if (kept > 0 && blocks_left == 0) blocks_left = 1;
    if (kept >= n) blocks_left = n;
    std::set<std::size_t> chosen; // first tokens of blocks
    std::size_t needed = 0;
    for (std::size_t first = 0; first < n; first += shape.block) {
        bool holds = false;
        for (std::size_t i = first; i < std::min(n, first + shape.block); ++i)
            holds = holds || i < shape.sinks || n - i <= shape.recent;
        if (holds) chosen.insert(first);
        needed += holds ? 1 : 0;
    }
    if (needed > blocks_left) return std::nullopt;
    while (chosen.size() < blocks_left && chosen.size() * shape.block < n) {
        std::optional<std::size_t> best;
        double most = 0;
        for (std::size_t first = 0; first < n; first += shape.block) {
            if (chosen.contains(first)) continue;
            const double value = block_value(scores, first, std::min(n, first + shape.block), shape.block_score);
            if (!best || value > most) {
                best = first;
                most = value;
            }
        }
        if (!best) break;
        chosen.insert(*best);
    }
    std::vector<std::uint32_t> set;
    for (const std::size_t first : chosen)
        for (std::size_t i = first; i < std::min(n, first + shape.block); ++i)
            set.push_back(static_cast<std::uint32_t>(i));
    return set;
}

std::optional<std::vector<std::vector<std::uint32_t>>> slow_layer_cut(std::span<const double> scores, std::size_t heads,
                                                                      std::size_t kept, const Shape& shape) {
    const std::size_t n = scores.size() / heads;
    std::vector<std::vector<double>> rows;
    for (std::size_t a = 0; a < heads; ++a)
        rows.emplace_back(scores.begin() + static_cast<std::ptrdiff_t>(a * n),
                          scores.begin() + static_cast<std::ptrdiff_t>((a + 1) * n));
    if (shape.granularity != Granularity::head) rows.assign(heads, slow_joined(rows, shape.join));
    std::vector<std::vector<std::uint32_t>> sets;
    for (const auto& row : rows) {
        const auto set = slow_cut(row, kept, shape);
        if (!set) return std::nullopt;
        sets.push_back(*set);
    }
    return sets;
}

} // namespace evictlab::test
