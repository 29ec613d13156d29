// SPDX-License-Identifier: MIT
#include "evolution/candidate.hpp"

#include <fmt/format.h>

namespace evictlab::evolution {

using Json = nlohmann::ordered_json;

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

Status status_from_string(std::string_view text) {
    for (const Status status : {Status::champion, Status::accepted, Status::rejected})
        if (text == to_string(status)) return status;
    throw Error(fmt::format("a candidate's status is '{}': known are champion, accepted and rejected", text));
}

Json to_json(const FormulaErrors& errors) {
    Json json;
    json["by_retention"] = errors.by_retention;
    json["average"] = errors.average;
    return json;
}

FormulaErrors errors_from_json(const Json& json) {
    return {json.at("by_retention").get<std::vector<double>>(), json.at("average").get<double>()};
}

Json to_json(const Candidate& candidate) {
    Json json;
    json["id"] = candidate.id;
    json["generation"] = candidate.generation;
    json["slot"] = candidate.slot;
    json["parents"] = candidate.parents;
    json["operator"] = candidate.op;
    json["hypothesis"] = candidate.hypothesis;
    json["formula"] = print(candidate.formula);
    json["hash"] = candidate.hash;
    json["train"] = to_json(candidate.train);
    json["valid"] = candidate.valid ? to_json(*candidate.valid) : Json(nullptr);
    json["status"] = to_string(candidate.status);
    json["reason"] = candidate.reason;
    return json;
}

Candidate candidate_from_json(const Json& json) {
    try {
        Candidate candidate;
        json.at("id").get_to(candidate.id);
        json.at("generation").get_to(candidate.generation);
        json.at("slot").get_to(candidate.slot);
        json.at("parents").get_to(candidate.parents);
        json.at("operator").get_to(candidate.op);
        json.at("hypothesis").get_to(candidate.hypothesis);
        candidate.formula = formula::parse(json.at("formula").get_ref<const std::string&>());
        json.at("hash").get_to(candidate.hash);
        candidate.train = errors_from_json(json.at("train"));
        if (!json.at("valid").is_null()) candidate.valid = errors_from_json(json.at("valid"));
        candidate.status = status_from_string(json.at("status").get_ref<const std::string&>());
        json.at("reason").get_to(candidate.reason);
        return candidate;
    } catch (const Json::exception& wrong) {
        throw Error(fmt::format("a saved candidate cannot be read: {}", wrong.what()));
    }
}

} // namespace evictlab::evolution
