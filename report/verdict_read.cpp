// Reading a verdict.
// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include <array>
#include <set>

#include "base/json/one_of.hpp"
#include "framework/protocols/protocol.hpp"
#include "framework/suite/suite.hpp"
#include "report/bench_json.hpp"
#include "report/row_class.hpp"
#include "report/row_cost.hpp"
#include "report/shape.hpp"
#include "report/verdict.hpp"

namespace evictlab::report {
namespace {

/// A KL divergence is not negative; sums in single precision leave a little room.
constexpr double kl_rounding = 1e-5;
constexpr std::array<std::string_view, 2> text_names{"given", "generated"};
constexpr std::array<std::string_view, 4> split_names{"train", "valid", "test", "test_other_model"};

std::string named(const JsonField& field) {
    if (field.text().empty()) field.fail("expected a name, found \"\"");
    return field.text();
}

std::vector<Verdict::Document> read_documents(const JsonField& field) {
    std::vector<Verdict::Document> documents;
    std::set<std::string> seen;
    for (const auto& element : field.elements()) {
        const auto left_out = element.optional_member("left_out");
        documents.push_back({named(element.member("name")), element.member("kind").text(),
                             one_of(element.member("split"), split_names), left_out ? left_out->text() : ""});
        if (!seen.insert(documents.back().name).second)
            element.fail(fmt::format("a second document \"{}\"", documents.back().name));
    }
    if (documents.empty()) field.fail("expected at least one document");
    return documents;
}

/// [document][retention]
std::vector<std::vector<double>> read_figures(const JsonField& field, const Verdict& verdict, bool divergence) {
    std::vector<std::vector<double>> figures;
    for (const auto& document : field.elements()) {
        auto& values = figures.emplace_back();
        for (const auto& value : document.elements()) {
            values.push_back(value.number());
            if (divergence && values.back() < -kl_rounding)
                value.fail(fmt::format("expected a divergence, which is not negative, found {}", values.back()));
        }
        if (values.size() != verdict.retentions.size())
            document.fail(fmt::format("expected {} numbers, one a retention", verdict.retentions.size()));
    }
    if (figures.size() != verdict.documents.size())
        field.fail(
            fmt::format("expected {} lists, one a document, found {}", verdict.documents.size(), figures.size()));
    return figures;
}

Verdict::Row read_row(const JsonField& field, const Verdict& verdict) {
    Verdict::Row row;
    row.scorer = named(field.member("scorer"));
    row.kl = read_figures(field.member("kl"), verdict, true);
    row.delta_nll = read_figures(field.member("delta_nll"), verdict, false);
    if (const auto used = field.optional_member("retention_used")) {
        for (const auto& value : used->elements()) row.retention_used.push_back(value.number_between(0, 1 + 1e-9));
        if (row.retention_used.size() != verdict.retentions.size())
            used->fail(fmt::format("expected {} numbers, one a retention", verdict.retentions.size()));
    }
    if (const auto uneven = field.optional_member("uneven_budgets")) row.uneven_budgets = uneven->truth();
    if (const auto scorer_class = field.optional_member("class")) row.scorer_class = read_class(*scorer_class);
    if (const auto cost = field.optional_member("cost")) row.cost = read_cost(*cost);
    return row;
}

void read_decode(const JsonField& field, Verdict& verdict) {
    verdict.schedule = named(field.member("schedule"));
    verdict.text = one_of(field.member("text"), text_names);
    const auto allowed = field.optional_member("allowed");
    if (!allowed) return;
    for (const auto& value : allowed->elements()) verdict.allowed.push_back(value.number_between(0, 1 + 1e-9));
    if (verdict.allowed.size() != verdict.retentions.size())
        allowed->fail(fmt::format("expected {} numbers, one a retention", verdict.retentions.size()));
}

} // namespace

Verdict verdict_from_json(const Json& json, const std::string& file) {
    const JsonField top(json, file);
    const JsonField schema = top.member("schema");
    if (schema.text() != verdict_schema)
        schema.fail(
            fmt::format("expected \"{}\", found {}: write it with `evictlab-verdict`", verdict_schema, schema.shown()));
    Verdict verdict;
    verdict.suite = top.member("suite").member("name").text();
    verdict.suite_hash = named(top.member("suite").member("hash"));
    verdict.model = named(top.member("model"));
    verdict.protocol = one_of(top.member("protocol"), protocol_names());
    verdict.retentions = read_retentions(top.member("retentions"));
    verdict.cut = read_cut(top, verdict.retentions.size());
    verdict.documents = read_documents(top.member("documents"));
    if (const auto sources = top.optional_member("sources")) verdict.sources = read_sources(*sources);
    if (const auto sharing = top.optional_member("sharing_layers"))
        verdict.sharing_layers = read_sharing_layers(*sharing);
    if (const auto bytes = top.optional_member("kv_bytes")) verdict.kv_bytes = bytes->number_between(0, 1e12);
    if (const auto decode = top.optional_member("decode")) read_decode(*decode, verdict);
    std::set<std::string> scorers;
    for (const auto& row : top.member("rows").elements()) {
        verdict.rows.push_back(read_row(row, verdict));
        if (!scorers.insert(verdict.rows.back().scorer).second)
            row.fail(fmt::format("a second row for the scorer \"{}\"", verdict.rows.back().scorer));
    }
    if (verdict.rows.empty()) top.member("rows").fail("expected at least one row");
    return verdict;
}

Verdict read_verdict(const std::filesystem::path& file) {
    return verdict_from_json(parse_json(read_text(file, std::uintmax_t{256} << 20), file.string()), file.string());
}

} // namespace evictlab::report
