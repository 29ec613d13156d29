// SPDX-License-Identifier: MIT
#include "report/page_views.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "report/bench_json.hpp"
#include "report/captured_text.hpp"
#include "report/cells.hpp"
#include "report/comparison.hpp"
#include "report/ranking.hpp"

namespace evictlab::report {
namespace {

/// [value], or [value, low, high]; null where there is no finite value.
Json estimate_json(const Estimate& estimate) {
    if (!std::isfinite(estimate.value)) return nullptr;
    if (!estimate.interval) return Json::array({estimate.value});
    return Json::array({estimate.value, estimate.interval->low, estimate.interval->high});
}

Json estimate_json(const std::optional<Estimate>& estimate) { return estimate ? estimate_json(*estimate) : nullptr; }

Json number_json(const std::optional<double>& value) {
    return value && std::isfinite(*value) ? Json(*value) : Json(nullptr);
}

std::vector<double> at_retention(const SplitErrors& errors, std::size_t retention) {
    std::vector<double> values;
    for (const auto& trace : errors.by_trace) values.push_back(trace.at(retention));
    return values;
}

Json group_json(TableClass of, const std::string& best) {
    return {{"title", in_words(of)},
            {"budgets", to_string(of.budgets)},
            {"passes", of.two_passes ? 2 : 1},
            {"best", best.empty() ? Json(nullptr) : Json(best)},
            {"rows", Json::array()}};
}

/// What a row of any view has.
Json row_json(const ScorecardRow& row, bool published, const std::optional<std::size_t>& rank) {
    return {{"scorer", row.scorer}, {"rank", rank_text(row, rank)}, {"published", published}};
}

class MeasureView {
public:
    MeasureView(const LeaderboardTable& table, std::size_t m, const Bootstrap& bootstrap)
        : table_(table), m_(m), bootstrap_(bootstrap),
          kinds_(table.captured ? document_kinds(table) : std::vector<DocumentKind>()) {}

    Json row(const RowGroup& group, const LeaderboardRow& row) const {
        const SplitErrors& errors = judging_errors(row.scorecard, m_);
        Json json = row_json(row.scorecard, row.published, rank(group, row));
        const bool by_document = bootstrap_.documents() > 0 && errors.by_trace.size() == bootstrap_.documents();
        const auto figure = [&](double value, const std::vector<double>& values) {
            return estimate_json(by_document ? bootstrap_.mean(values) : Estimate{value, std::nullopt});
        };
        json["mean"] = figure(errors.average, document_averages(errors));
        for (std::size_t r = 0; r < errors.by_retention.size(); ++r)
            json["at"].push_back(figure(errors.by_retention[r], at_retention(errors, r)));
        const GapClosed& gap = row.gap_closed.at(m_);
        json["gap"] = number_json(gap.average);
        for (const auto& share : gap.by_retention) json["gap_at"].push_back(number_json(share));
        if (m_ == 0) {
            json["against"] = estimate_json(row.difference);
            json["against_one_pass"] = estimate_json(row.from_one_pass);
            json["win"] = row.win;
        }
        if (has_figures(errors) && by_document)
            for (const auto& kind : kinds_) json["kinds"][kind.name] = kind_average(errors, kind);
        return json;
    }

private:
    /// By this measure, among those that have a rank by the primary one.
    std::optional<std::size_t> rank(const RowGroup& group, const LeaderboardRow& row) const {
        if (m_ == 0 || !row.rank) return row.rank;
        const double figure = judging_errors(row.scorecard, m_).average;
        if (!std::isfinite(figure)) return std::nullopt;
        return 1 + std::ranges::count_if(group.rows, [&](const LeaderboardRow& other) {
                   return other.rank && judging_errors(other.scorecard, m_).average < figure - same_figure;
               });
    }

    const LeaderboardTable& table_;
    std::size_t m_;
    const Bootstrap& bootstrap_;
    std::vector<DocumentKind> kinds_;
};

Json view_json(std::string_view title, std::string_view meaning, std::span<const double> retentions) {
    Json json{{"title", title}, {"meaning", meaning}, {"retentions", retentions}, {"groups", Json::array()}};
    for (const double retention : retentions) json["names"].push_back(retention_key(retention));
    return json;
}

} // namespace

Json measure_view(const LeaderboardTable& table, std::size_t m, const Bootstrap& bootstrap) {
    const std::string& measure = m == 0 ? table.measure : table.more_measures.at(m - 1);
    Json json = view_json(measure_title(measure), measure_meaning(measure), table.retentions);
    json["documents"] = table.captured ? judging_traces(table.traces).size() : 0;
    json["mean"] = table.captured ? "mean over layers and judged queries, then documents" : "mean over the suite";
    json["against"] = "difference";
    const MeasureView view(table, m, bootstrap);
    for (const TableClass each : table_classes) {
        const RowGroup& group = table.of(each);
        if (group.rows.empty()) continue;
        Json& written = json["groups"].emplace_back(group_json(each, m == 0 ? group.best_published : std::string()));
        for (const auto& row : group.rows) written["rows"].push_back(view.row(group, row));
    }
    return json;
}

Json verdict_view(const VerdictTable& verdict) {
    Json json = view_json(fmt::format("KL divergence in {}", verdict.model),
                          "KL divergence of the model's next-token predictions from its own without eviction, in nats "
                          "a token",
                          verdict.retentions);
    json["verdict"] = verdict.file;
    json["protocol"] = verdict.protocol;
    json["documents"] = verdict.documents;
    json["mean"] = "geometric mean over documents";
    json["against"] = "ratio";
    for (const TableClass each : table_classes) {
        Json group = group_json(each, verdict.best_of(each).empty() ? std::string() : verdict.best_of(each)[0]);
        for (const std::string& best : verdict.best_of(each)) group["best_at"].push_back(best);
        for (const auto& row : verdict.rows) {
            if (!(table_class(row.scorecard) == each)) continue;
            Json written = row_json(row.scorecard, row.published, row.rank);
            for (std::size_t f = 0; f < row.figures.size(); ++f) {
                const VerdictFigure& figure = row.figures[f];
                Json value = estimate_json(Estimate{figure.geometric, std::nullopt});
                Json ratio = estimate_json(figure.ratio);
                if (f == 0) {
                    written["mean"] = std::move(value);
                    written["against"] = std::move(ratio);
                    written["against_one_pass"] = estimate_json(figure.uniform_ratio);
                    written["win"] = figure.win;
                } else {
                    written["at"].push_back(std::move(value));
                    written["against_at"].push_back(std::move(ratio));
                    written["win_at"].push_back(figure.win);
                }
            }
            for (std::size_t k = 0; k < row.kinds.size(); ++k)
                written["kinds"][verdict.kinds[k].name] = number_json(row.kinds[k].at(0).geometric);
            group["rows"].push_back(std::move(written));
        }
        if (!group["rows"].empty()) json["groups"].push_back(std::move(group));
    }
    return json;
}

} // namespace evictlab::report
