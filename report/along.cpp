// SPDX-License-Identifier: MIT
#include "report/along.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "report/bench_json.hpp"
#include "report/bench_table.hpp"
#include "report/ranking.hpp"

namespace evictlab::report {
namespace {

const CacheCourse& course_of(const ScorecardRow& row) {
    return row.course[static_cast<std::size_t>(judging_split(row))];
}

std::string bin_title(std::size_t bin, std::size_t steps) {
    return steps == 1 ? std::to_string(bin) : fmt::format("{}-{}", bin * steps, (bin + 1) * steps - 1);
}

} // namespace

std::optional<Table> along_table(const Bench& bench) {
    std::size_t bins = 0;
    for (const ScorecardRow& row : bench.rows)
        for (const auto& losses : course_of(row).attention_loss) bins = std::max(bins, losses.size());
    if (bins == 0) return std::nullopt;
    std::vector<TableColumn> columns{{"scorer", CellKind::code}, {"cache", CellKind::number}};
    for (std::size_t b = 0; b < bins; ++b) columns.push_back({bin_title(b, bench.bin), CellKind::number, 1});
    for (const char* title : {"churn", "later tokens kept", "most cached"})
        columns.push_back({title, CellKind::number});
    Table table(std::move(columns));
    for (const ScorecardRow& row : bench.rows) {
        const CacheCourse& course = course_of(row);
        const auto& late = row.continuation_kept[static_cast<std::size_t>(judging_split(row))];
        for (std::size_t r = 0; r < course.largest.size(); ++r) {
            std::vector<std::string> cells{row.scorer, bench.cut.keep.empty() ? retention_key(bench.retentions[r])
                                                                              : std::to_string(bench.cut.keep[r])};
            const std::vector<double>& losses = course.attention_loss[r];
            for (std::size_t b = 0; b < bins; ++b) cells.push_back(b < losses.size() ? figure(losses[b]) : "");
            const std::vector<double>& churn = course.churn[r];
            const double mean = std::accumulate(churn.begin(), churn.end(), 0.0) / static_cast<double>(churn.size());
            cells.push_back(fmt::format("{:.2f}", mean));
            cells.push_back(r < late.size() ? fmt::format("{:.2f}", late[r]) : "");
            cells.push_back(std::to_string(course.largest[r]));
            table.add(std::move(cells));
        }
    }
    return table;
}

} // namespace evictlab::report
