// SPDX-License-Identifier: MIT
#include "evolution/external/fitness_protocol.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "framework/cut/shape_json.hpp"
#include "framework/layer/calibration.hpp"

namespace evictlab::evolution {
namespace {

constexpr std::size_t most_indices = 1'000'000;
constexpr std::size_t most_retentions = 1000; // as of a run
constexpr double infinity = std::numeric_limits<double>::infinity();

Json figure_json(double value) {
    if (std::isfinite(value)) return value;
    return std::isnan(value) ? "nan" : value > 0 ? "inf" : "-inf";
}

std::vector<std::size_t> counts(std::span<const std::size_t> documents, std::size_t number) {
    std::vector<std::size_t> list(number, 0);
    for (const std::size_t document : documents) ++list[document];
    return list;
}

std::vector<std::size_t> documents_from(const JsonField& field, std::size_t number) {
    const auto elements = field.elements();
    if (elements.size() != number)
        field.fail(fmt::format("expected counts of {} documents, found {}", number, elements.size()));
    std::vector<std::size_t> documents;
    for (std::size_t d = 0; d < number; ++d)
        documents.insert(documents.end(), elements[d].whole_up_to(most_indices), d);
    return documents;
}

std::vector<std::size_t> wholes(const JsonField& field) {
    std::vector<std::size_t> list;
    for (const JsonField& each : field.elements()) list.push_back(each.whole<std::size_t>());
    return list;
}

std::vector<double> retentions_from(const JsonField& field) {
    const std::vector<double> retentions = field.numbers();
    if (retentions.empty() || retentions.size() > most_retentions)
        field.fail(fmt::format("expected 1 to {} retentions", most_retentions));
    for (const double retention : retentions)
        if (!(retention > 0 && retention <= 1)) field.fail("a retention is above 0 and at most 1");
    return retentions;
}

std::vector<std::size_t> keep_from(const JsonField& field, std::size_t retentions) {
    std::vector<std::size_t> keep = wholes(field);
    if (!keep.empty() && keep.size() != retentions)
        field.fail(fmt::format("expected none, or one for each of {} retentions", retentions));
    if (std::ranges::count(keep, 0U) > 0) field.fail("a number of tokens is above 0");
    return keep;
}

} // namespace

HeldPart held_part_of(const Suite& suite, FormulaMeasuring by) {
    const Calibration* const calibration = suite.calibration();
    return {suite.parameters_json(), suite.hash(), calibration ? "sha256:" + calibration->sha256 : "",
            suite.reconstruction(), std::move(by)};
}

Json to_json(const HeldPart& part) {
    Json json;
    json["parameters"] = part.parameters_json;
    json["hash"] = part.hash;
    json["calibration"] = part.calibration;
    json["reconstruction"] = part.reconstruction;
    json["measure"] = to_string(part.by.measure);
    json["retentions"] = part.by.retentions;
    json["columns"] = Json::array();
    for (const ColumnId id : part.by.columns) json["columns"].push_back(columns::name(id));
    json["query_stride"] = part.by.query_stride;
    json["shape"] = evictlab::to_json(part.by.shape);
    json["keep"] = part.by.keep;
    for (const SearchSplit split : {SearchSplit::train, SearchSplit::valid})
        json[std::string(to_string(split))] = runs_json(part.documents[static_cast<std::size_t>(split)]);
    return json;
}

HeldPart held_part_from(const JsonField& field) {
    HeldPart part;
    part.parameters_json = field.member("parameters").text();
    part.hash = field.member("hash").text();
    part.calibration = field.member("calibration").text();
    part.reconstruction = field.member("reconstruction").text();
    const JsonField measure = field.member("measure");
    if (const auto known = evictlab::measure_of(measure.text()))
        part.by.measure = *known;
    else
        measure.fail(fmt::format("expected a measure, found {}", measure.shown()));
    part.by.retentions = retentions_from(field.member("retentions"));
    for (const std::string& column : field.member("columns").texts())
        part.by.columns.push_back(columns::intern(column));
    const JsonField stride = field.member("query_stride");
    part.by.query_stride = stride.whole<std::uint32_t>();
    if (part.by.query_stride == 0) stride.fail("is 0, but must be at least 1");
    part.by.shape = shape_from_json(field.member("shape"));
    part.by.keep = keep_from(field.member("keep"), part.by.retentions.size());
    for (const SearchSplit split : {SearchSplit::train, SearchSplit::valid})
        part.documents[static_cast<std::size_t>(split)] = indices_from(field.member(to_string(split)), most_indices);
    return part;
}

Json to_json(const UnitLayout& layout) {
    Json json;
    json["units"] = counts(layout.documents, layout.traces);
    json["heads"] = counts(layout.head_documents, layout.traces);
    json["tokens"] = layout.tokens;
    return json;
}

UnitLayout unit_layout_from(const JsonField& field, std::size_t documents) {
    return {documents_from(field.member("units"), documents), documents_from(field.member("heads"), documents),
            documents, field.member("tokens").whole<std::size_t>()};
}

Json runs_json(std::span<const std::size_t> indices) {
    Json runs = Json::array();
    for (std::size_t i = 0; i < indices.size();) {
        std::size_t end = i + 1;
        while (end < indices.size() && indices[end] == indices[end - 1] + 1) ++end;
        runs.push_back({indices[i], end - i});
        i = end;
    }
    return runs;
}

std::vector<std::size_t> indices_from(const JsonField& field, std::size_t below) {
    std::vector<std::size_t> indices;
    for (const JsonField& run : field.elements()) {
        const std::vector<JsonField> ends = run.elements();
        if (ends.size() != 2) run.fail("expected [first, how many]");
        const std::uint64_t first = ends[0].whole_up_to(below), count = ends[1].whole_up_to(below - first);
        for (std::uint64_t i = 0; i < count; ++i) indices.push_back(first + i);
        if (indices.size() > most_indices) field.fail(fmt::format("more than {} indices", most_indices));
    }
    return indices;
}

Json figures_json(std::span<const double> figures) {
    Json list = Json::array();
    for (const double figure : figures) list.push_back(figure_json(figure));
    return list;
}

std::vector<double> figures_from(const Json& list) {
    std::vector<double> figures;
    for (const Json& each : list) {
        const std::string text = each.is_string() ? each.get<std::string>() : "";
        if (text == "nan")
            figures.push_back(std::numeric_limits<double>::quiet_NaN());
        else if (text == "inf" || text == "-inf")
            figures.push_back(text == "inf" ? infinity : -infinity);
        else if (each.is_number())
            figures.push_back(each.get<double>());
        else
            throw Error("figures are numbers, \"nan\", \"inf\" or \"-inf\"");
    }
    return figures;
}

std::string_view to_string(SearchSplit split) { return split == SearchSplit::train ? "train" : "valid"; }

SearchSplit search_split_from(const JsonField& field) {
    for (const SearchSplit split : {SearchSplit::train, SearchSplit::valid})
        if (field.text() == to_string(split)) return split;
    field.fail(fmt::format("expected \"train\" or \"valid\", found {}", field.shown()));
}

} // namespace evictlab::evolution
