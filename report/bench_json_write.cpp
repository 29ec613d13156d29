// Writing a bench result.
// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include <algorithm>

#include "base/text/quoting.hpp"
#include "framework/protocols/protocol.hpp"
#include "framework/scorers/class_json.hpp"
#include "report/bench_json.hpp"
#include "report/footnotes.hpp"
#include "report/ranking.hpp"
#include "report/row_class.hpp"
#include "report/row_cost.hpp"
#include "report/shape.hpp"

namespace evictlab::report {
namespace {

Json splits_to_json(const BySplit<SplitErrors>& splits, std::span<const double> retentions,
                    const BenchJsonOptions& options) {
    Json json = Json::object();
    for (const Split split : all_splits) {
        const SplitErrors& errors = splits[static_cast<std::size_t>(split)];
        if (has_figures(errors)) json[std::string(to_string(split))] = to_json(errors, retentions, options);
    }
    return json;
}

/// [split][retention], of splits that have both shares and figures.
Json shares_to_json(const ScorecardRow& row, const BySplit<std::vector<double>>& shares,
                    std::span<const double> retentions) {
    Json json = Json::object();
    for (const Split split : all_splits) {
        const auto& of_split = shares[static_cast<std::size_t>(split)];
        if (of_split.empty() || !has_figures(row.splits[static_cast<std::size_t>(split)])) continue;
        Json& written = json[std::string(to_string(split))] = Json::object();
        for (std::size_t i = 0; i < retentions.size(); ++i) written[retention_key(retentions[i])] = of_split.at(i);
    }
    return json;
}

/// {"0.25": ...}
Json by_retention(const auto& values, std::span<const double> retentions) {
    Json json = Json::object();
    for (std::size_t r = 0; r < retentions.size(); ++r) json[retention_key(retentions[r])] = values.at(r);
    return json;
}

/// What rows of the protocol decode have more.
void add_course(const Bench& bench, const ScorecardRow& row, Json& json) {
    for (const Split split : all_splits) {
        const std::string name(to_string(split));
        if (!has_figures(row.splits[static_cast<std::size_t>(split)])) continue;
        for (std::size_t r = 0; r < bench.retentions.size(); ++r)
            if (is_frozen(row, r, split)) json["frozen"][name].push_back(bench.retentions[r]);
        const CacheCourse& course = row.course[static_cast<std::size_t>(split)];
        if (course.largest.empty()) continue;
        json["along"]["attention_loss"][name] = by_retention(course.attention_loss, bench.retentions);
        json["along"]["retention_used"][name] = by_retention(course.retention_used, bench.retentions);
        json["along"]["churn"][name] = by_retention(course.churn, bench.retentions);
        json["largest"][name] = by_retention(course.largest, bench.retentions);
    }
}

/// Nothing where the schedule is the usual one and nothing is told along the continuation.
void add_decode(const Bench& bench, Json& json) {
    if (bench.cut.schedule.usual() && bench.bin == 0) return;
    json["decode"]["schedule"] = to_string(bench.cut.schedule);
    if (bench.bin > 0) json["decode"]["bin"] = bench.bin;
    for (const Split split : all_splits)
        if (const auto& allowed = bench.allowed[static_cast<std::size_t>(split)]; !allowed.empty())
            json["decode"]["allowed"][std::string(to_string(split))] = by_retention(allowed, bench.retentions);
}

Json row_to_json(const Bench& bench, const ScorecardRow& row, const BenchJsonOptions& options) {
    Json json{{"scorer", row.scorer}, {"kind", to_string(row.kind)}};
    if (!row.formula.empty()) json["formula"] = row.formula;
    if (row.uneven_budgets) json["uneven_budgets"] = true;
    if (row.scorer_class) json["class"] = to_json(*row.scorer_class);
    if (row.cost) json["cost"] = to_json(*row.cost);
    json["splits"] = splits_to_json(row.splits, bench.retentions, options);
    for (std::size_t m = 0; m < row.more_splits.size(); ++m)
        json["measures"][bench.more_measures.at(m)] = splits_to_json(row.more_splits[m], bench.retentions, options);
    Json used = shares_to_json(row, row.retention_used, bench.retentions);
    if (!used.empty()) json["retention_used"] = std::move(used);
    Json late = shares_to_json(row, row.continuation_kept, bench.retentions);
    if (!late.empty()) json["continuation_kept"] = std::move(late);
    add_course(bench, row, json);
    for (std::size_t r = 0; r < row.thresholds.size(); ++r)
        json["thresholds"][retention_key(bench.retentions.at(r))] = row.thresholds[r];
    return json;
}

Json traces_to_json(const Bench& bench) {
    Json json = Json::object();
    for (const Split split : all_splits) {
        const auto& labels = bench.traces[static_cast<std::size_t>(split)];
        if (labels.empty() && split == Split::test_other_model) continue;
        Json& list = json[std::string(to_string(split))] = Json::array();
        for (const TraceLabel& trace : labels) {
            Json& label = list.emplace_back(Json{{"name", trace.name}, {"kind", trace.kind}});
            if (!trace.left_out.empty()) label["left_out"] = trace.left_out;
        }
    }
    return json;
}

} // namespace

std::string retention_key(double retention) {
    for (int digits = 2; digits <= 20; ++digits) {
        std::string key = fmt::format("{:.{}f}", retention, digits);
        if (std::stod(key) == retention) return key;
    }
    return fmt::format("{}", retention);
}

bool is_captured(const Bench& bench) {
    if (const ProtocolInfo* info = find_protocol(bench.protocol); info && info->needs_capture) return true;
    return std::ranges::any_of(bench.traces, [](const auto& traces) {
        return std::ranges::any_of(traces, [](const TraceLabel& trace) { return !trace.kind.empty(); });
    });
}

Json suite_to_json(const std::string& name, const std::string& hash, const std::string& parameters_json) {
    Json suite{{"name", name}, {"hash", hash}};
    const Json parameters = parameters_json.empty() ? Json::object() : Json::parse(parameters_json);
    for (const auto& item : parameters.items())
        if (!suite.contains(item.key())) suite[item.key()] = item.value();
    return suite;
}

Json to_json(const SplitErrors& errors, std::span<const double> retentions, const BenchJsonOptions& options) {
    Json json = Json::object();
    for (std::size_t i = 0; i < retentions.size(); ++i) json[retention_key(retentions[i])] = errors.by_retention.at(i);
    json["avg"] = errors.average;
    if (options.by_trace) json["traces"] = errors.by_trace;
    return json;
}

Json to_json(std::span<const SharingLayers> sharing) {
    Json json = Json::array();
    for (const auto& [layers, of] : sharing) json.push_back({{"layers", layers}, {"of", of}});
    return json;
}

Json to_json(const Bench& bench, const BenchJsonOptions& options) {
    const BenchJsonOptions written{.by_trace = options.by_trace || is_captured(bench)};
    Json json{{"schema", bench_schema},
              {"suite", suite_to_json(bench.suite, bench.suite_hash, bench.suite_parameters_json)},
              {"protocol", bench.protocol},
              {"measure", bench.measure},
              {"more_measures", bench.more_measures},
              {"retentions", bench.retentions},
              {"traces", traces_to_json(bench)},
              {"rows", Json::array()}};
    if (!bench.storage.empty()) json["storage"] = bench.storage;
    if (!bench.sources.empty()) json["sources"] = bench.sources;
    if (!bench.sharing_layers.empty()) json["sharing_layers"] = to_json(bench.sharing_layers);
    if (bench.kv_bytes > 0) json["kv_bytes"] = bench.kv_bytes;
    write_cut(bench.cut, json);
    add_decode(bench, json);
    for (const auto& row : bench.rows) json["rows"].push_back(row_to_json(bench, row, written));
    for (const auto& failure : bench.failures)
        json["failures"].push_back({{"plugin", failure.plugin}, {"phase", failure.phase}, {"cause", failure.cause}});
    return json;
}

std::string dump(const Json& json) {
    return text::json(json.dump(2, ' ', false, Json::error_handler_t::replace)) + '\n';
}

} // namespace evictlab::report
