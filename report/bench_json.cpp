// SPDX-License-Identifier: MIT
#include "report/bench_json.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

namespace evictlab::report {
namespace {

/// Errors are shares of a row's attention; sums of many leave a little room for rounding.
constexpr double rounding = 1e-9;

std::vector<double> read_retentions(const JsonField& field) {
    std::vector<double> retentions;
    std::set<double> seen;
    for (const auto& element : field.elements()) {
        const double retention = element.number_between(0, 1);
        if (retention == 0) element.fail("expected a retention above 0");
        if (!seen.insert(retention).second) element.fail("this retention is there twice");
        retentions.push_back(retention);
    }
    if (retentions.empty() || retentions.size() > 64) field.fail("expected 1 to 64 retentions");
    return retentions;
}

void check_keys(const JsonField& field, const std::set<std::string>& known) {
    for (const auto& item : field.object().items())
        if (!known.contains(item.key())) field.fail(fmt::format("unexpected field \"{}\"", item.key()));
}

std::vector<std::vector<double>> read_traces(const JsonField& field, std::size_t retentions) {
    std::vector<std::vector<double>> traces;
    for (const auto& trace : field.elements()) {
        auto& errors = traces.emplace_back();
        for (const auto& error : trace.elements()) errors.push_back(error.number_between(-rounding, 1 + rounding));
        if (errors.size() != retentions) trace.fail(fmt::format("expected {} numbers, one a retention", retentions));
    }
    return traces;
}

SplitErrors read_split(const JsonField& field, std::span<const double> retentions) {
    SplitErrors errors;
    std::set<std::string> known{"avg", "traces"};
    double sum = 0;
    for (const double retention : retentions) {
        const auto key = known.insert(retention_key(retention)).first;
        errors.by_retention.push_back(field.member(*key).number_between(-rounding, 1 + rounding));
        sum += errors.by_retention.back();
    }
    check_keys(field, known);
    const JsonField average = field.member("avg");
    errors.average = average.number();
    const double mean = sum / static_cast<double>(retentions.size());
    if (std::abs(errors.average - mean) > rounding)
        average.fail(fmt::format("expected {}, the mean over the retentions, found {}", mean, errors.average));
    if (const auto traces = field.optional_member("traces")) errors.by_trace = read_traces(*traces, retentions.size());
    return errors;
}

RowKind read_kind(const JsonField& field) {
    for (const RowKind kind : {RowKind::plugin, RowKind::formula, RowKind::bound})
        if (field.text() == to_string(kind)) return kind;
    field.fail(fmt::format("expected \"plugin\", \"formula\" or \"bound\", found \"{}\"", field.text()));
}

ScorecardRow read_row(const JsonField& field, std::span<const double> retentions) {
    check_keys(field, {"scorer", "kind", "formula", "splits"});
    ScorecardRow row;
    row.scorer = field.member("scorer").text();
    if (row.scorer.empty()) field.member("scorer").fail("expected a name, found \"\"");
    row.kind = read_kind(field.member("kind"));
    if (const auto formula = field.optional_member("formula")) row.formula = formula->text();
    const JsonField splits = field.member("splits");
    check_keys(splits, {"train", "valid", "test"});
    for (const Split split : all_splits)
        row.splits[static_cast<std::size_t>(split)] = read_split(splits.member(to_string(split)), retentions);
    return row;
}

Json row_to_json(const ScorecardRow& row, std::span<const double> retentions, const BenchJsonOptions& options) {
    Json json{{"scorer", row.scorer}, {"kind", to_string(row.kind)}};
    if (!row.formula.empty()) json["formula"] = row.formula;
    for (const Split split : all_splits)
        json["splits"][std::string(to_string(split))] =
            to_json(row.splits[static_cast<std::size_t>(split)], retentions, options);
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

Json to_json(const Bench& bench, const BenchJsonOptions& options) {
    Json json{{"schema", bench_schema},
              {"suite", suite_to_json(bench.suite, bench.suite_hash, bench.suite_parameters_json)},
              {"protocol", bench.protocol},
              {"retentions", bench.retentions},
              {"rows", Json::array()}};
    for (const auto& row : bench.rows) json["rows"].push_back(row_to_json(row, bench.retentions, options));
    for (const auto& failure : bench.failures)
        json["failures"].push_back({{"plugin", failure.plugin}, {"phase", failure.phase}, {"cause", failure.cause}});
    return json;
}

Bench bench_from_json(const Json& json, const std::string& file) {
    const JsonField top(json, file);
    const JsonField schema = top.member("schema");
    if (schema.text() != bench_schema)
        schema.fail(fmt::format("expected \"{}\", found \"{}\": write it again with `evictlab bench --format json`",
                                bench_schema, schema.text()));
    check_keys(top, {"schema", "suite", "protocol", "retentions", "rows", "failures"});
    const JsonField suite = top.member("suite");
    Bench bench;
    bench.suite = suite.member("name").text();
    bench.suite_hash = suite.member("hash").text();
    Json parameters = suite.object();
    parameters.erase("hash");
    bench.suite_parameters_json = parameters.dump();
    bench.protocol = top.member("protocol").text();
    bench.retentions = read_retentions(top.member("retentions"));
    std::set<std::string> scorers;
    for (const auto& row : top.member("rows").elements()) {
        bench.rows.push_back(read_row(row, bench.retentions));
        if (!scorers.insert(bench.rows.back().scorer).second)
            row.fail(fmt::format("a second row for the scorer \"{}\"", bench.rows.back().scorer));
    }
    if (const auto failures = top.optional_member("failures"))
        for (const auto& failure : failures->elements())
            bench.failures.emplace_back(failure.member("plugin").text(), failure.member("phase").text(),
                                        failure.member("cause").text());
    return bench;
}

Bench read_bench(const std::filesystem::path& file) {
    return bench_from_json(parse_json(read_text(file, std::uintmax_t{256} << 20), file.string()), file.string());
}

std::string dump(const Json& json) { return json.dump(2, ' ', false, Json::error_handler_t::replace) + '\n'; }

} // namespace evictlab::report
