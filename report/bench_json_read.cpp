// Reading a bench result.
// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <set>

#include "base/json/one_of.hpp"
#include "framework/protocols/protocol.hpp"
#include "report/bench_json.hpp"
#include "report/ranking.hpp"
#include "report/row_class.hpp"
#include "report/row_cost.hpp"
#include "report/shape.hpp"

namespace evictlab::report {
namespace {

/// Attention losses are shares of a row's attention; sums of many leave a little room for rounding.
constexpr double rounding = 1e-9;
/// A cache that holds the continuation alone; texts are shorter than this times their continuations.
constexpr double most_of_continuation = 1e9;
constexpr double nothing = std::numeric_limits<double>::quiet_NaN();
using Keys = std::set<std::string>;

void check_keys(const JsonField& field, const Keys& known) {
    for (const auto& item : field.object().items())
        if (!known.contains(item.key())) field.fail(fmt::format("unexpected field \"{}\"", item.key()));
}

Keys split_names() {
    Keys names;
    for (const Split split : all_splits) names.emplace(to_string(split));
    return names;
}

std::string read_name(const JsonField& field) {
    if (field.text().empty()) field.fail("expected a name, found \"\"");
    return field.text();
}

std::string read_measure(const JsonField& field) { return one_of(field, measure_names); }

/// What the rows of a file have in common.
class RowReader {
public:
    RowReader(const Bench& bench, bool first_schema) : bench_(bench), first_schema_(first_schema) {}

    ScorecardRow read(const JsonField& field) const {
        check_keys(field, first_schema_ ? Keys{"scorer", "kind", "formula", "splits"}
                                        : Keys{"scorer", "kind", "formula", "splits", "measures", "retention_used",
                                               "continuation_kept", "frozen", "along", "largest", "uneven_budgets",
                                               "class", "cost", "thresholds"});
        ScorecardRow row;
        row.scorer = read_name(field.member("scorer"));
        row.kind = read_kind(field.member("kind"));
        if (const auto formula = field.optional_member("formula")) row.formula = formula->text();
        row.splits = read_splits(field.member("splits"), bench_.measure);
        if (!bench_.more_measures.empty()) {
            const JsonField measures = field.member("measures");
            check_keys(measures, {bench_.more_measures.begin(), bench_.more_measures.end()});
            for (const std::string& measure : bench_.more_measures)
                row.more_splits.push_back(read_splits(measures.member(measure), measure));
        }
        if (const auto used = field.optional_member("retention_used"))
            row.retention_used = read_shares(*used, 1 + rounding);
        if (const auto late = field.optional_member("continuation_kept"))
            row.continuation_kept = read_shares(*late, most_of_continuation);
        if (bench_.bin > 0) read_course(field, row);
        if (const auto thresholds = field.optional_member("thresholds"))
            for (const double retention : bench_.retentions)
                row.thresholds.push_back(thresholds->member(retention_key(retention)).number());
        if (const auto uneven = field.optional_member("uneven_budgets")) row.uneven_budgets = uneven->truth();
        if (const auto scorer_class = field.optional_member("class")) row.scorer_class = read_class(*scorer_class);
        if (const auto cost = field.optional_member("cost")) row.cost = read_cost(*cost);
        return row;
    }

private:
    static RowKind read_kind(const JsonField& field) {
        constexpr std::array kinds{RowKind::plugin, RowKind::formula, RowKind::bound};
        std::array<std::string_view, kinds.size()> names;
        std::ranges::transform(kinds, names.begin(), [](RowKind kind) { return to_string(kind); });
        const std::string& name = one_of(field, names);
        return kinds[static_cast<std::size_t>(std::ranges::find(names, name) - names.begin())];
    }

    /// Only attention loss is a share; an output error is relative to the output and may exceed 1.
    static double read_error(const JsonField& field, std::string_view measure) {
        if (measure == "attention_loss") return field.number_between(-rounding, 1 + rounding);
        if (field.number() < -rounding) field.fail(fmt::format("expected a number from 0, found {}", field.number()));
        return field.number();
    }

    std::vector<std::vector<double>> read_traces(const JsonField& field, Split split, std::string_view measure) const {
        std::vector<std::vector<double>> traces;
        for (const auto& trace : field.elements()) {
            auto& errors = traces.emplace_back();
            for (const auto& error : trace.elements()) errors.push_back(read_error(error, measure));
            if (errors.size() != bench_.retentions.size())
                trace.fail(fmt::format("expected {} numbers, one a retention", bench_.retentions.size()));
        }
        const std::size_t labels = bench_.traces[static_cast<std::size_t>(split)].size();
        if (!first_schema_ && traces.size() != labels)
            field.fail(fmt::format("expected {} lists, one a trace of the split, found {}", labels, traces.size()));
        return traces;
    }

    SplitErrors read_split(const JsonField& field, Split split, std::string_view measure) const {
        SplitErrors errors;
        Keys known{"avg", "traces"};
        double sum = 0;
        for (const double retention : bench_.retentions) {
            const auto key = known.insert(retention_key(retention)).first;
            errors.by_retention.push_back(read_error(field.member(*key), measure));
            sum += errors.by_retention.back();
        }
        check_keys(field, known);
        const JsonField average = field.member("avg");
        errors.average = average.number();
        const double mean = sum / static_cast<double>(bench_.retentions.size());
        if (std::abs(errors.average - mean) > rounding * std::max(1.0, mean))
            average.fail(fmt::format("expected {}, the mean over the retentions, found {}", mean, errors.average));
        if (const auto traces = field.optional_member("traces")) errors.by_trace = read_traces(*traces, split, measure);
        return errors;
    }

    BySplit<SplitErrors> read_splits(const JsonField& field, std::string_view measure) const {
        check_keys(field, split_names());
        BySplit<SplitErrors> splits;
        for (const Split split : all_splits) {
            SplitErrors& errors = splits[static_cast<std::size_t>(split)];
            // Left out where there are no traces, or no finite figures.
            const bool may_be_missing = split == Split::test_other_model || !first_schema_;
            if (may_be_missing && !field.optional_member(to_string(split)))
                errors = {std::vector<double>(bench_.retentions.size(), nothing), nothing, {}};
            else
                errors = read_split(field.member(to_string(split)), split, measure);
        }
        return splits;
    }

    BySplit<std::vector<double>> read_shares(const JsonField& field, double most) const {
        check_keys(field, split_names());
        BySplit<std::vector<double>> used;
        for (const Split split : all_splits) {
            const auto of_split = field.optional_member(to_string(split));
            if (!of_split) continue;
            for (const double retention : bench_.retentions)
                used[static_cast<std::size_t>(split)].push_back(
                    of_split->member(retention_key(retention)).number_between(0, most));
        }
        return used;
    }

    /// [retention][bin]
    std::vector<std::vector<double>> read_bins(const JsonField& field, double most) const {
        std::vector<std::vector<double>> bins;
        for (const double retention : bench_.retentions) {
            auto& of_retention = bins.emplace_back();
            for (const auto& value : field.member(retention_key(retention)).elements())
                of_retention.push_back(value.number_between(-rounding, most));
        }
        return bins;
    }

    void read_course(const JsonField& field, ScorecardRow& row) const {
        const auto along = field.optional_member("along");
        if (!along) return;
        check_keys(*along, {"attention_loss", "retention_used", "churn"});
        const JsonField largest = field.member("largest");
        check_keys(largest, split_names());
        for (const Split split : all_splits) {
            const auto of_split = largest.optional_member(to_string(split));
            if (!of_split) continue;
            CacheCourse& course = row.course[static_cast<std::size_t>(split)];
            for (const double retention : bench_.retentions)
                course.largest.push_back(of_split->member(retention_key(retention)).whole<std::size_t>());
            const auto bins_of = [&](const char* figure, double most) {
                return read_bins(along->member(figure).member(to_string(split)), most);
            };
            course.attention_loss = bins_of("attention_loss", 1 + rounding);
            course.retention_used = bins_of("retention_used", 1 + rounding);
            course.churn = bins_of("churn", most_of_continuation);
        }
    }

    const Bench& bench_;
    bool first_schema_;
};

/// What the command that measures a row again is made of.
void check_parameters(const JsonField& suite) {
    for (const char* whole :
         {"generator", "captured", "seq_len", "layers", "patterns", "seed_offset", "test_seed_offset"})
        if (const auto field = suite.optional_member(whole)) (void)field->whole<std::uint64_t>();
    if (const auto folder = suite.optional_member("folder")) (void)read_name(*folder);
    if (const auto calibration = suite.optional_member("calibration")) (void)read_name(*calibration);
    if (const auto sliding = suite.optional_member("sliding_layers")) (void)sliding->truth();
}

void read_suite(const JsonField& suite, Bench& bench) {
    bench.suite = read_name(suite.member("name"));
    bench.suite_hash = read_name(suite.member("hash"));
    check_parameters(suite);
    Json parameters = suite.object();
    parameters.erase("hash");
    bench.suite_parameters_json = parameters.dump();
}

void read_trace_labels(const JsonField& field, Bench& bench) {
    check_keys(field, split_names());
    for (const Split split : all_splits) {
        if (split == Split::test_other_model && !field.optional_member(to_string(split))) continue;
        for (const auto& trace : field.member(to_string(split)).elements()) {
            check_keys(trace, {"name", "kind", "left_out"});
            const auto left_out = trace.optional_member("left_out");
            bench.traces[static_cast<std::size_t>(split)].push_back(
                {trace.member("name").text(), trace.member("kind").text(), left_out ? left_out->text() : ""});
        }
    }
}

void read_measures(const JsonField& top, Bench& bench) {
    bench.measure = read_measure(top.member("measure"));
    Keys seen{bench.measure};
    for (const auto& measure : top.member("more_measures").elements()) {
        bench.more_measures.push_back(read_measure(measure));
        if (!seen.insert(bench.more_measures.back()).second) measure.fail("this measure is there twice");
    }
}

void read_decode(const JsonField& field, Bench& bench) {
    check_keys(field, {"schedule", "bin", "allowed"});
    const JsonField schedule = field.member("schedule");
    const auto known = find_schedule(schedule.text());
    if (!known)
        schedule.fail(
            fmt::format("expected a schedule as `evictlab bench --schedule` takes one, found {}", schedule.shown()));
    bench.cut.schedule = *known;
    if (const auto bin = field.optional_member("bin")) bench.bin = bin->whole<std::size_t>();
    const auto allowed = field.optional_member("allowed");
    if (!allowed) return;
    check_keys(*allowed, split_names());
    for (const Split split : all_splits)
        if (const auto of_split = allowed->optional_member(to_string(split)))
            for (const double retention : bench.retentions)
                bench.allowed[static_cast<std::size_t>(split)].push_back(
                    of_split->member(retention_key(retention)).number_between(0, 1 + rounding));
}

bool has_any_figure(const ScorecardRow& row) {
    const auto any = [](const auto& splits) { return std::ranges::any_of(splits, has_figures); };
    return any(row.splits) || std::ranges::any_of(row.more_splits, any);
}

bool is_first_schema(const JsonField& schema) {
    if (schema.text() == bench_schema_1) return true;
    if (schema.text() == bench_schema) return false;
    schema.fail(fmt::format("expected \"{}\" or \"{}\", found {}: write it again with `evictlab bench --format json`",
                            bench_schema, bench_schema_1, schema.shown()));
}

} // namespace

std::vector<double> read_retentions(const JsonField& field) {
    std::vector<double> retentions;
    std::set<double> seen;
    for (const auto& element : field.elements()) {
        const double retention = element.number_between(0, 1);
        if (retention == 0) element.fail("expected a retention above 0");
        if (!seen.insert(retention).second) element.fail("this retention is there twice");
        retentions.push_back(retention);
    }
    if (retentions.empty() || retentions.size() > most_retentions)
        field.fail(fmt::format("expected 1 to {} retentions", most_retentions));
    return retentions;
}

std::map<std::string, std::string> read_sources(const JsonField& field) {
    std::map<std::string, std::string> sources;
    for (const auto& item : field.object().items()) {
        const JsonField source = field.member(item.key());
        const std::string_view hash = source.text();
        if (!hash.starts_with("sha256:") || hash.size() != 71 ||
            hash.substr(7).find_first_not_of("0123456789abcdef") != std::string_view::npos)
            source.fail(fmt::format("expected \"sha256:\" and 64 digits 0-9, a-f, found {}", source.shown()));
        sources[item.key()] = hash;
    }
    return sources;
}

std::vector<SharingLayers> read_sharing_layers(const JsonField& field) {
    constexpr std::uint64_t most_layers = 1'000'000;
    std::vector<SharingLayers> sharing;
    for (const auto& element : field.elements()) {
        const auto layers = element.member("layers").whole_up_to(most_layers);
        const auto of = element.member("of").whole_up_to(most_layers);
        if (layers == 0 || layers > of)
            element.fail(fmt::format("expected from 1 to {} layers of {}, found {}", of, of, layers));
        sharing.push_back({layers, of});
    }
    return sharing;
}

Bench bench_from_json(const Json& json, const std::string& file) {
    const JsonField top(json, file);
    const bool first_schema = is_first_schema(top.member("schema"));
    Keys known{"schema", "suite", "protocol", "retentions", "rows", "failures"};
    if (!first_schema)
        known.insert({"made", "measure", "more_measures", "traces", "storage", "sources", "sharing_layers", "kv_bytes",
                      "shape", "keep", "decode"});
    check_keys(top, known);
    Bench bench;
    read_suite(top.member("suite"), bench);
    bench.protocol = one_of(top.member("protocol"), protocol_names());
    bench.retentions = read_retentions(top.member("retentions"));
    if (!first_schema) {
        bench.cut = read_cut(top, bench.retentions.size());
        if (const auto decode = top.optional_member("decode")) read_decode(*decode, bench);
        read_measures(top, bench);
        read_trace_labels(top.member("traces"), bench);
        if (const auto storage = top.optional_member("storage")) bench.storage = storage->text();
        if (const auto sources = top.optional_member("sources")) bench.sources = read_sources(*sources);
        if (const auto sharing = top.optional_member("sharing_layers"))
            bench.sharing_layers = read_sharing_layers(*sharing);
        if (const auto bytes = top.optional_member("kv_bytes")) bench.kv_bytes = bytes->number_between(0, 1e12);
    }
    const RowReader reader(bench, first_schema);
    std::set<std::string> scorers;
    std::vector<ScorecardRow> rows;
    for (const auto& row : top.member("rows").elements()) {
        rows.push_back(reader.read(row));
        if (!scorers.insert(rows.back().scorer).second)
            row.fail(fmt::format("a second row for the scorer \"{}\"", rows.back().scorer));
        if (has_any_figure(rows.back())) continue;
        bench.failures.emplace_back(rows.back().scorer, "score", "none of its errors is a finite number");
        rows.pop_back();
    }
    bench.rows = std::move(rows);
    if (const auto failures = top.optional_member("failures"))
        for (const auto& failure : failures->elements())
            bench.failures.emplace_back(read_name(failure.member("plugin")),
                                        one_of(failure.member("phase"), phase_names), failure.member("cause").text());
    return bench;
}

Bench read_bench(const std::filesystem::path& file) {
    return bench_from_json(parse_json(read_text(file, std::uintmax_t{256} << 20), file.string()), file.string());
}

} // namespace evictlab::report
