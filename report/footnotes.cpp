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
    const std::vector<RankedRow> ranked = rank_rows(bench.rows, allowed_of(bench));
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

bool is_frozen(const ScorecardRow& row, std::size_t retention) { return is_frozen(row, retention, judging_split(row)); }

bool is_frozen(const ScorecardRow& row, std::size_t retention, Split split) {
    const auto& kept = row.continuation_kept[static_cast<std::size_t>(split)];
    return row.kind != RowKind::bound && retention < kept.size() && kept[retention] < frozen_below;
}

std::string frozen_note(std::span<const ScorecardRow> rows, std::span<const double> retentions,
                        std::span<const std::size_t> keep, const std::function<std::string(std::string_view)>& quote) {
    std::string caches;
    for (const ScorecardRow& row : rows)
        for (std::size_t r = 0; r < retentions.size(); ++r)
            if (is_frozen(row, r))
                caches += fmt::format("{}{} at {} ({:.2f})", caches.empty() ? "" : ", ", quote(row.scorer),
                                      keep.empty() ? retention_key(retentions[r]) : std::to_string(keep[r]),
                                      row.continuation_kept[static_cast<std::size_t>(judging_split(row))][r]);
    if (caches.empty()) return "";
    return fmt::format(
        "Frozen caches, which hardly a token of the continuation survives (in brackets the share of what "
        "keeping all alike would hold): {}.",
        caches);
}

std::string sharing_note(std::span<const SharingLayers> sharing, std::string_view which) {
    std::string pairs;
    for (const auto& [layers, of] : sharing)
        pairs += pairs.empty() ? fmt::format("{} layers of {}", layers, of) : fmt::format(" or {} of {}", layers, of);
    return pairs.empty() ? "" : fmt::format("Model budgets are divided among the {} that {}.", pairs, which);
}

std::string footnotes(const Bench& bench, const std::function<std::string(std::string_view)>& quote, bool times) {
    std::string text;
    if (std::ranges::any_of(bench.rows, [&](const ScorecardRow& row) {
            return row.kind != RowKind::bound && overshoots(row, allowed_of(bench));
        }))
        text += fmt::format("{}\n", overshoots_note);
    if (const std::string ranks = may_rank(bench) ? near_ranks(bench) : ""; !ranks.empty())
        text +=
            fmt::format("Ranks {}: nearer than {:.0f} %, by which figures of traces stored as I8 move against F32.\n",
                        ranks, 100 * i8_resolution);
    if (const std::string frozen = frozen_note(bench.rows, bench.retentions, bench.cut.keep, quote); !frozen.empty())
        text += frozen + "\n";
    if (const std::string sharing = sharing_note(bench.sharing_layers, "the traces hold"); !sharing.empty())
        text += sharing + "\n";
    const auto places = times ? places_of(bench.rows) : std::vector<std::string>{};
    if (const std::string cost = cost_note(places, bench.protocol, bench.kv_bytes, bench.retentions, quote);
        !cost.empty())
        text += cost + "\n";
    return text;
}

} // namespace evictlab::report
