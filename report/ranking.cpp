// SPDX-License-Identifier: MIT
#include "report/ranking.hpp"

#include <algorithm>

namespace evictlab::report {

std::vector<RankedRow> rank_rows(std::span<const ScorecardRow> rows) {
    std::vector<RankedRow> ranked;
    for (const auto& row : rows) ranked.push_back({&row, std::nullopt});
    std::sort(ranked.begin(), ranked.end(),
              [](const RankedRow& a, const RankedRow& b) { return test_average(*a.row) < test_average(*b.row); });
    // Groups of one figure are found in the sorted order: "closer than so much" is no order that sort could use.
    std::size_t scorers_before = 0;
    for (std::size_t begin = 0; begin < ranked.size();) {
        std::size_t end = begin + 1;
        while (end < ranked.size() && test_average(*ranked[end].row) - test_average(*ranked[begin].row) <= same_figure)
            ++end;
        const auto group = std::span(ranked).subspan(begin, end - begin);
        std::sort(group.begin(), group.end(),
                  [](const RankedRow& a, const RankedRow& b) { return a.row->scorer < b.row->scorer; });
        std::size_t scorers = 0;
        for (auto& entry : group) {
            if (entry.row->kind == RowKind::bound) continue;
            entry.rank = scorers_before + 1;
            ++scorers;
        }
        scorers_before += scorers;
        begin = end;
    }
    return ranked;
}

std::string rank_text(const std::optional<std::size_t>& rank) { return rank ? std::to_string(*rank) : "bound"; }

} // namespace evictlab::report
