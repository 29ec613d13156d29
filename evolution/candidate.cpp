// SPDX-License-Identifier: MIT
#include "evolution/candidate.hpp"

#include <fmt/format.h>

#include <charconv>

namespace evictlab::evolution {

std::string_view to_string(Status status) {
    switch (status) {
    case Status::champion:
        return "champion";
    case Status::accepted:
        return "accepted";
    case Status::rejected:
        break;
    }
    return "rejected";
}

namespace {

Status status_from_json(const JsonField& field) {
    for (const Status status : {Status::champion, Status::accepted, Status::rejected})
        if (field.text() == to_string(status)) return status;
    field.fail(fmt::format("expected champion, accepted or rejected, found {}", field.shown()));
}

std::optional<std::uint64_t> number_of_hash(const std::string& hash) {
    std::uint64_t number = 0;
    const auto [end, wrong] = std::from_chars(hash.data(), hash.data() + hash.size(), number, 16);
    if (wrong != std::errc{} || end != hash.data() + hash.size()) return std::nullopt;
    return number;
}

} // namespace

std::uint64_t hash_number(const std::string& hash) {
    const auto number = number_of_hash(hash);
    if (!number) throw Error(fmt::format("'{}' is not a hash", hash));
    return *number;
}

std::uint64_t hash_number(const JsonField& field) {
    const auto number = number_of_hash(field.text());
    if (!number) field.fail("is no hash of 16 hexadecimal digits");
    return *number;
}

const std::string& hash_from_json(const JsonField& field) {
    hash_number(field);
    return field.text();
}

std::string Candidate::text() const { return parameters ? parameters->scorer : print(formula); }

std::string Candidate::scorer_text() const { return parameters ? parameters->scorer : "=" + print(formula); }

Json parameters_or_formula(const std::optional<ParameterSet>& parameters, const formula::Formula& formula) {
    Json json;
    if (parameters) {
        json["scorer"] = parameters->scorer;
        json["values"] = parameters->values;
    } else {
        json["formula"] = print(formula);
    }
    return json;
}

std::optional<ParameterSet> parameters_from_json(const JsonField& field, std::size_t changed) {
    const auto scorer = field.optional_member("scorer");
    if (!scorer) return std::nullopt;
    return ParameterSet{scorer->text(), field.member("values").numbers(), changed};
}

Json to_json(const FormulaErrors& errors) {
    Json json;
    json["by_retention"] = errors.by_retention;
    json["average"] = errors.average;
    if (!errors.by_document.empty()) json["by_document"] = errors.by_document;
    return json;
}

FormulaErrors errors_from_json(const JsonField& field) {
    FormulaErrors errors{field.member("by_retention").numbers(), field.member("average").number()};
    if (const auto documents = field.optional_member("by_document"))
        for (const JsonField& document : documents->elements()) errors.by_document.push_back(document.numbers());
    return errors;
}

formula::Formula formula_from_json(const JsonField& field) {
    try {
        return formula::parse(field.text());
    } catch (const formula::ParseError& wrong) {
        field.fail(fmt::format("not a formula: {}", wrong.what()));
    }
}

Json to_json(const Candidate& candidate) {
    Json json;
    json["id"] = candidate.id;
    json["generation"] = candidate.generation;
    json["slot"] = candidate.slot;
    json["parents"] = candidate.parents;
    json["operator"] = candidate.op;
    json["hypothesis"] = candidate.hypothesis;
    json.update(parameters_or_formula(candidate.parameters, candidate.formula));
    json["hash"] = candidate.hash;
    json["nodes"] = candidate.size();
    json["kept_hash"] = candidate.kept_hash ? Json(fmt::format("{:016x}", *candidate.kept_hash)) : Json(nullptr);
    json["train"] = candidate.train.by_retention.empty() ? Json(nullptr) : to_json(candidate.train);
    json["valid"] = candidate.valid ? to_json(*candidate.valid) : Json(nullptr);
    if (const auto& verdict = candidate.verdict)
        json["verdict"] = {{"train", to_json(verdict->train)},
                           {"valid", verdict->valid ? to_json(*verdict->valid) : Json(nullptr)}};
    json["status"] = to_string(candidate.status);
    json["reason"] = candidate.reason;
    return json;
}

Candidate candidate_from_json(const JsonField& field) {
    Candidate candidate;
    candidate.id = field.member("id").text();
    candidate.generation = field.member("generation").whole<std::uint32_t>();
    candidate.slot = field.member("slot").whole<std::uint32_t>();
    candidate.parents = field.member("parents").texts();
    candidate.op = field.member("operator").text();
    candidate.hypothesis = field.member("hypothesis").text();
    candidate.parameters = parameters_from_json(field, field.member("nodes").whole<std::size_t>());
    if (!candidate.parameters) candidate.formula = formula_from_json(field.member("formula"));
    candidate.hash = hash_from_json(field.member("hash"));
    if (const auto kept = field.member_unless_null("kept_hash")) candidate.kept_hash = hash_number(*kept);
    if (const auto train = field.member_unless_null("train")) candidate.train = errors_from_json(*train);
    if (const auto valid = field.member_unless_null("valid")) candidate.valid = errors_from_json(*valid);
    if (const auto verdict = field.optional_member("verdict")) {
        candidate.verdict.emplace().train = errors_from_json(verdict->member("train"));
        if (const auto valid = verdict->member_unless_null("valid"))
            candidate.verdict->valid = errors_from_json(*valid);
    }
    candidate.status = status_from_json(field.member("status"));
    candidate.reason = field.member("reason").text();
    return candidate;
}

} // namespace evictlab::evolution
