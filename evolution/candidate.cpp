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

} // namespace

std::uint64_t hash_from_json(const JsonField& field) {
    const std::string& digits = field.text();
    std::uint64_t hash = 0;
    const auto [end, wrong] = std::from_chars(digits.data(), digits.data() + digits.size(), hash, 16);
    if (wrong != std::errc{} || end != digits.data() + digits.size()) field.fail("is no hash of 16 hexadecimal digits");
    return hash;
}

Json to_json(const Genome& genome) {
    Json json;
    if (const ParameterSet* const parameters = genome.parameters()) {
        json["scorer"] = parameters->scorer;
        json["values"] = parameters->values;
    } else {
        json["formula"] = genome.text();
    }
    return json;
}

Genome genome_from_json(const JsonField& field, std::size_t changed) {
    if (const auto scorer = field.optional_member("scorer")) {
        ParameterSet parameters{scorer->text(), field.member("values").numbers(), changed};
        return Genome::saved(std::move(parameters), hash_from_json(field.member("hash")));
    }
    formula::Formula formula = formula_from_json(field.member("formula"));
    return Genome::saved(std::move(formula), hash_from_json(field.member("hash")));
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
    json.update(to_json(candidate.genome));
    json["hash"] = candidate.genome.hash_text();
    json["nodes"] = candidate.genome.size();
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
    candidate.genome = genome_from_json(field, field.member("nodes").whole<std::size_t>());
    if (const auto kept = field.member_unless_null("kept_hash")) candidate.kept_hash = hash_from_json(*kept);
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
