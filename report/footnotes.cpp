// SPDX-License-Identifier: MIT
#include "report/footnotes.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "report/bench_json.hpp"
#include "report/ranking.hpp"
#include "report/row_cost.hpp"

namespace evictlab::report {
namespace {

constexpr std::string_view i8 = "I8";

bool is_near(const ScorecardRow& a, const ScorecardRow& b) {
    const double x = test_average(a), y = test_average(b);
    return std::abs(x - y) < i8_resolution * std::max(x, y) && std::abs(x - y) > same_figure;
}

} // namespace

std::string near_ranks(const Bench& bench) {
    if (bench.storage != i8) return "";
    std::string runs;
    const RankedRow *first = nullptr, *last = nullptr;
    const auto end_run = [&] {
        if (first != last)
            runs += fmt::format("{}{} to {}{}", runs.empty() ? "" : ", ", *first->rank, *last->rank,
                                table_class(*first->row) == TableClass{}
                                    ? ""
                                    : fmt::format(" ({})", in_words(table_class(*first->row))));
        first = last = nullptr;
    };
    const std::vector<RankedRow> ranked = rank_rows(bench.rows, bench.retentions);
    for (const RankedRow& entry : ranked) {
        if (!entry.rank) continue;
        if (last && (table_class(*last->row) != table_class(*entry.row) ||
                     (*last->rank != *entry.rank && !is_near(*last->row, *entry.row))))
            end_run();
        if (!first) first = &entry;
        if (last == nullptr || *last->rank != *entry.rank) last = &entry;
    }
    end_run();
    return runs;
}

bool is_frozen(const ScorecardRow& row, std::size_t retention) {
    const auto& kept = row.continuation_kept[static_cast<std::size_t>(judging_split(row))];
    return row.kind != RowKind::bound && retention < kept.size() && kept[retention] < frozen_below;
}

std::string frozen_rows(std::span<const ScorecardRow> rows, std::span<const double> retentions,
                        const std::function<std::string(std::string_view)>& quote) {
    std::string names;
    for (const ScorecardRow& row : rows) {
        std::string at;
        for (std::size_t r = 0; r < retentions.size(); ++r)
            if (is_frozen(row, r))
                at += fmt::format("{}{}: {:.2f}", at.empty() ? "" : ", ", retention_key(retentions[r]),
                                  row.continuation_kept[static_cast<std::size_t>(judging_split(row))][r]);
        if (!at.empty()) names += fmt::format("{}{} ({})", names.empty() ? "" : "; ", quote(row.scorer), at);
    }
    return names;
}

std::string sharing_note(std::span<const SharingLayers> sharing, std::string_view which) {
    std::string pairs;
    for (const auto& [layers, of] : sharing)
        pairs += pairs.empty() ? fmt::format("{} layers of {}", layers, of) : fmt::format(" or {} of {}", layers, of);
    return pairs.empty() ? "" : fmt::format("Model budgets are divided among the {} that {}.", pairs, which);
}

std::string footnotes(const Bench& bench, const std::function<std::string(std::string_view)>& quote) {
    std::string text;
    if (const std::string ranks = may_rank(bench) ? near_ranks(bench) : ""; !ranks.empty())
        text +=
            fmt::format("Ranks {}: nearer than {:.0f} %, by which figures of traces stored as I8 move against F32.\n",
                        ranks, 100 * i8_resolution);
    if (const std::string frozen = frozen_rows(bench.rows, bench.retentions, quote); !frozen.empty())
        text += fmt::format("Frozen caches, which hardly a token of the continuation survives (share of what keeping "
                            "all alike would hold): {}.\n",
                            frozen);
    if (const std::string sharing = sharing_note(bench.sharing_layers, "the traces hold"); !sharing.empty())
        text += sharing + "\n";
    if (const std::string cost =
            cost_note(places_of(bench.rows), bench.protocol, bench.kv_bytes, bench.retentions, quote);
        !cost.empty())
        text += cost + "\n";
    return text;
}

} // namespace evictlab::report
