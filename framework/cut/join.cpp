// SPDX-License-Identifier: MIT
#include "framework/cut/join.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

namespace evictlab {
namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();
constexpr double largest = std::numeric_limits<double>::max();

/// Ranks from 0 to 1, equal scores sharing the mean of theirs; infinite scores stay.
void rank(std::span<const double> scores, std::vector<std::pair<double, std::size_t>>& order,
          std::vector<double>& out) {
    const std::size_t n = scores.size();
    order.clear();
    for (std::size_t i = 0; i < n; ++i) order.emplace_back(scores[i], i);
    std::ranges::sort(order, {}, [](const auto& entry) { return entry.first; });
    const double most = static_cast<double>(std::max<std::size_t>(n, 2) - 1);
    for (std::size_t first = 0, last = 0; first < n; first = last) {
        const double score = order[first].first;
        while (last < n && order[last].first == score) ++last;
        const double middle = 0.5 * static_cast<double>(first + last - 1);
        for (std::size_t i = first; i < last; ++i) out[order[i].second] = std::isinf(score) ? score : middle / most;
    }
}

void share(std::span<const double> scores, std::vector<double>& out) {
    const auto sum_over = [&](double unit) {
        double sum = 0;
        for (const double score : scores)
            if (!std::isinf(score)) sum += std::abs(score) / unit;
        return sum;
    };
    double unit = 1, sum = sum_over(unit);
    if (std::isinf(sum)) sum = sum_over(unit = largest);
    for (std::size_t i = 0; i < scores.size(); ++i)
        out[i] = std::isinf(scores[i]) || sum == 0 ? scores[i] : scores[i] / unit / sum;
}

/// Takes one row after another.
class Joining {
public:
    Joining(std::size_t n, Join join)
        : join_(join), sum_(n, join == Join::max ? -infinity : 0.0), always_(n), first_(n), row_(n) {}

    void add(std::span<const double> given) {
        ++rows_;
        if (join_ == Join::rank) rank(given, order_, row_);
        if (join_ == Join::share) share(given, row_);
        const std::span<const double> row = join_ == Join::rank || join_ == Join::share ? std::span(row_) : given;
        for (std::size_t i = 0; i < row.size(); ++i) {
            if (std::isinf(row[i])) {
                (row[i] > 0 ? always_ : first_)[i] = 1;
                continue;
            }
            sum_[i] = join_ == Join::max ? std::max(sum_[i], row[i]) : sum_[i] + row[i];
        }
    }

    std::vector<double> result() && {
        for (std::size_t i = 0; i < sum_.size(); ++i) {
            if (join_ != Join::max) sum_[i] = std::clamp(sum_[i], -largest, largest) / static_cast<double>(rows_);
            if (always_[i] != 0)
                sum_[i] = infinity;
            else if (first_[i] != 0 && join_ != Join::max)
                sum_[i] = -infinity;
        }
        return std::move(sum_);
    }

private:
    Join join_;
    std::vector<double> sum_;
    std::vector<char> always_, first_;
    std::vector<double> row_; ///< that is being added, as ranks or shares
    std::vector<std::pair<double, std::size_t>> order_;
    std::size_t rows_ = 0;
};

} // namespace

std::vector<double> joined(std::span<const std::span<const double>> rows, Join join) {
    Joining joining(rows.front().size(), join);
    for (const auto& row : rows) joining.add(row);
    return std::move(joining).result();
}

std::vector<double> joined(std::span<const std::vector<double>> rows, Join join) {
    const std::vector<std::span<const double>> views(rows.begin(), rows.end());
    return joined(std::span<const std::span<const double>>(views), join);
}

std::vector<double> joined(std::span<const double> scores, std::size_t n, Join join) {
    Joining joining(n, join);
    for (std::size_t at = 0; at < scores.size(); at += n) joining.add(scores.subspan(at, n));
    return std::move(joining).result();
}

} // namespace evictlab
