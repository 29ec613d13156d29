// SPDX-License-Identifier: MIT
#include "report/run_standing.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <span>

#include "base/statistics/bootstrap.hpp"
#include "base/statistics/geometric_mean.hpp"
#include "base/text/shown.hpp"
#include "framework/damage/measure.hpp"
#include "report/bench_notes.hpp"
#include "report/cells.hpp"
#include "report/table.hpp"

namespace evictlab::report {
namespace {

constexpr auto valid = static_cast<std::size_t>(SearchSplit::valid);
constexpr int decimals = 5;

std::string shown(double error) { return std::isfinite(error) ? fmt::format("{:.{}f}", error, decimals) : "n/a"; }

using Documents = std::vector<std::vector<double>>; ///< [document, suite after suite][retention]

/// Valid documents of each suite; none where nobody knows.
std::vector<std::size_t> suite_sizes(const Standing& standing) {
    std::vector<std::size_t> sizes{standing.documents};
    if (standing.measures.size() > 1)
        sizes = standing.yardsticks ? standing.yardsticks->valid_documents : std::vector<std::size_t>{};
    std::size_t sum = 0;
    for (const std::size_t size : sizes) sum += size;
    const bool whole = sizes.size() == std::max<std::size_t>(1, standing.measures.size());
    return whole && sum == standing.documents ? sizes : std::vector<std::size_t>{};
}

/// Whether all documents of a suite have figures at as many retentions.
bool is_of(const std::vector<std::size_t>& sizes, const Documents& documents) {
    auto at = documents.begin();
    for (const std::size_t size : sizes) {
        if (static_cast<std::size_t>(documents.end() - at) < size || size == 0) return false;
        const auto end = at + static_cast<std::ptrdiff_t>(size);
        const std::size_t retentions = at->size();
        if (retentions == 0 || std::any_of(at, end, [&](const auto& each) { return each.size() != retentions; }))
            return false;
        at = end;
    }
    return at == documents.end();
}

/// As RelativeFitness has it: mean over suites of the mean over retentions, which is geometric over documents where
/// the measure's is.
double average(const Standing& standing, const std::vector<std::size_t>& sizes, const Documents& documents,
               std::span<const std::uint32_t> drawn) {
    double average = 0;
    for (std::size_t suite = 0; suite < sizes.size(); ++suite) {
        const auto own = drawn.first(sizes[suite]);
        drawn = drawn.subspan(sizes[suite]);
        const std::string& measure = standing.measures.empty() ? standing.measure : standing.measures[suite];
        const bool geometric = measure == to_string(Measure::predicted_kl);
        const std::size_t retentions = documents[own.front()].size();
        for (std::size_t r = 0; r < retentions; ++r) {
            double sum = 0;
            for (const std::uint32_t document : own)
                sum += geometric ? log_divergence(documents[document][r]) : documents[document][r];
            const double mean = sum / static_cast<double>(own.size());
            average += (geometric ? std::exp(mean) : mean) / static_cast<double>(retentions * sizes.size());
        }
    }
    return average;
}

/// "lower than X by 0.1 [...]" of the champion, by document; "" where the two cannot be paired.
std::string difference_text(const Standing& standing, const std::vector<std::size_t>& sizes, const Documents& from,
                            std::string_view name) {
    const Documents& champion = standing.champion_valid;
    if (!is_of(sizes, champion) || !is_of(sizes, from)) return "";
    const Estimate estimate = grouped_bootstrap(sizes, [&](std::span<const std::uint32_t> drawn) {
        return average(standing, sizes, champion, drawn) - average(standing, sizes, from, drawn);
    });
    if (!estimate.interval) return "";
    const char* const told = estimate.interval->below(0)   ? "lower"
                             : estimate.interval->above(0) ? "higher"
                                                           : "not told apart";
    return fmt::format("champion minus {} on valid: {}, {}", name, estimate_text(estimate, decimals, true), told);
}

/// As it is read off the screen.
double rounded(double error) { return std::round(error * 1e5) / 1e5; }

} // namespace

std::array<std::string, 2> figures_text(const Standing& standing) {
    if (standing.relative)
        return {fmt::format("ratios of {} to the best published row's, by retention;", standing.measure),
                "their mean: 1 is level with that row, lower is better"};
    return {fmt::format("{}: {},", standing.measure, measure_meaning(standing.measure)),
            fmt::format("{}; mean over patterns, then retentions; lower is better", measure_unit(standing.measure))};
}

Standing standing_between(Standing known, const evolution::RunState& state) {
    const evolution::Candidate &start = state.champions.front(), &champion = state.champion();
    known.start = {start.train.average, start.valid->average};
    known.champion = {champion.train.average, champion.valid->average};
    known.documents = champion.valid->by_document.size();
    known.start_valid = start.valid->by_document;
    known.champion_valid = champion.valid->by_document;
    return known;
}

std::string standing_text(const Standing& standing, std::optional<std::size_t> width) {
    Table table({{standing.relative ? "ratio" : standing.measure, CellKind::text},
                 {"train", CellKind::number},
                 {"valid", CellKind::number},
                 {"", CellKind::code}});
    const auto add = [&table](std::string_view what, const std::array<double, 2>& errors, const std::string& name) {
        table.add({std::string(what), shown(errors[0]), shown(errors[1]), name});
    };
    if (standing.yardsticks) {
        add("oracle", standing.yardsticks->oracle, "");
        add("best published", standing.yardsticks->published, standing.yardsticks->published_name);
    } else if (standing.relative) {
        add("best published", {1, 1}, "");
    }
    add("start", standing.start, standing.start_name);
    add("champion", standing.champion, "");
    if (standing.yardsticks) {
        const auto share = [&standing](SearchSplit split) {
            return percent(gap_closed(*standing.yardsticks, split, standing.champion[static_cast<std::size_t>(split)]),
                           1);
        };
        table.add({"gap closed", share(SearchSplit::train), share(SearchSplit::valid),
                   "of the way from best published to oracle"});
    }
    return table.fitted(width.value_or(text::all), false).text;
}

std::vector<std::string> claims_of(const Standing& standing) {
    if (!standing.relative || standing.documents == 0) return {};
    const std::vector<std::size_t> sizes = suite_sizes(standing);
    if (standing.documents < documents_for_a_claim ||
        (!sizes.empty() && std::ranges::min(sizes) < documents_for_a_claim))
        return {"too few to tell the champion from its start or from other rows"};
    if (sizes.empty()) return {};
    std::vector<std::string> claims{difference_text(standing, sizes, standing.start_valid, "start")};
    if (standing.yardsticks)
        claims.push_back(
            difference_text(standing, sizes, standing.yardsticks->rival_valid, standing.yardsticks->rival));
    std::erase(claims, "");
    return claims;
}

std::string behind_text(const Standing& standing) {
    const bool on_train = rounded(standing.champion[0]) > rounded(standing.start[0]);
    const bool on_valid = rounded(standing.champion[valid]) > rounded(standing.start[valid]);
    if (!on_train && !on_valid) return "";
    return fmt::format("the champion is behind its start on {}", on_train && on_valid ? "train and valid"
                                                                 : on_train           ? "train"
                                                                                      : "valid");
}

std::string standing_line(const Standing& standing) {
    std::string text = fmt::format("valid{}: start {:.4f}", standing.relative ? " ratio" : "", standing.start[valid]);
    if (const auto& yardsticks = standing.yardsticks) {
        text += fmt::format(", best published {:.4f}, oracle {:.4f}", yardsticks->published[valid],
                            yardsticks->oracle[valid]);
        if (const auto share = gap_closed(*yardsticks, SearchSplit::valid, standing.champion[valid]))
            text += fmt::format(", gap closed {}", percent(share, 0));
    } else if (standing.relative) {
        text += ", best published 1";
    }
    return text;
}

} // namespace evictlab::report
