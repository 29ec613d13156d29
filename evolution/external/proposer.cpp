// SPDX-License-Identifier: MIT
#include "evolution/external/proposer.hpp"

#include <algorithm>
#include <fmt/format.h>

#include "base/text/shown.hpp"
#include "framework/columns/column.hpp"

namespace evictlab::evolution {
namespace {

constexpr std::string_view protocols[] = {"evictlab-proposer/1"};
constexpr std::size_t formula_shown = 2000; ///< characters
constexpr std::size_t most_garbage = 16;    ///< lines before an answer
constexpr std::uint64_t most_failures = 4;  ///< of the process, in a run

std::string key_of(std::uint32_t generation) { return Json::array({"proposals", generation}).dump(); }

Json to_json(const ProposerChampion& champion) {
    Json json;
    json["id"] = champion.id;
    json["formula"] = champion.formula;
    json["hypothesis"] = champion.hypothesis;
    json["operator"] = champion.op;
    json["train"] = champion.train;
    json["valid"] = champion.valid;
    json["documents"] = Json::object();
    for (const auto& document : champion.documents) json["documents"][document.name] = document.errors;
    return json;
}

/// Nothing where the line is anything else.
std::optional<Json> answer_from(const std::string& line, std::uint32_t id) {
    try {
        Json json = object_from_line(line);
        const auto found = json.find("id");
        if (found != json.end() && *found == id) return json;
    } catch (const ProcessFailure&) { // garbage, which costs no more than its line
    }
    return std::nullopt;
}

/// Why the formula cannot be a candidate: it reads what the run does not offer. "" where it can.
std::string reads_too_much(const formula::Formula& formula, const ProposalRequest& request) {
    for (const formula::Node& node : formula.nodes()) { // in the text's order: ids differ from process to process
        if (node.op != formula::Op::column) continue;
        const std::string& name = columns::name(node.column);
        if (std::ranges::none_of(request.columns, [&](const auto& column) { return column.name == name; }))
            return fmt::format("reads the column {}, which this run does not offer", name);
    }
    return "";
}

/// What of an answer goes into the journal.
void keep(Json answer, std::uint32_t wanted, Json& kept) {
    if (const auto error = answer.find("error"); error != answer.end()) {
        const std::string why = error->is_string() ? error->get<std::string>() : error->dump();
        kept["error"] = "the proposer says: " + text::sentence(why, words_shown);
        return;
    }
    const auto proposals = answer.find("proposals");
    if (proposals == answer.end() || !proposals->is_array()) {
        kept["error"] = "the proposer answered without a list of proposals";
        return;
    }
    if (proposals->size() > wanted) proposals->erase(proposals->begin() + wanted, proposals->end());
    kept["proposals"] = std::move(*proposals);
}

Proposal rejected(std::string text, std::string reason) {
    return {std::move(text), std::nullopt, "", std::move(reason)};
}

Proposal proposal_from(const JsonField& field, const ProposalRequest& request) {
    Proposal proposal;
    try {
        const std::string& text = field.member("formula").text();
        proposal.text = text::sentence(text, formula_shown);
        if (const auto hypothesis = field.member_unless_null("hypothesis"))
            proposal.hypothesis = text::sentence(hypothesis->text(), words_shown);
        formula::Formula parsed = formula::parse(text, {.nodes = request.max_nodes});
        proposal.reason = reads_too_much(parsed, request);
        if (proposal.reason.empty()) proposal.formula = std::move(parsed);
    } catch (const Error& error) { // the first line of a parse error says it, the others point at the place
        const std::string_view what = error.what();
        proposal.reason = text::sentence(what.substr(0, what.find('\n')), words_shown);
    }
    return proposal;
}

/// What an answer that the journal keeps comes to; the same for the same answer and request.
Proposals proposals_from(const JsonField& answer, const ProposalRequest& request) {
    Proposals result;
    result.proposer = answer.member("proposer").text();
    if (const auto error = answer.optional_member("error")) result.failure = error->text();
    for (const JsonField& line : answer.member("garbage").elements())
        result.proposals.push_back(rejected(line.text(), "a line that is no answer to the request"));
    for (const JsonField& field : answer.member("proposals").elements())
        result.proposals.push_back(proposal_from(field, request));
    return result;
}

} // namespace

Json to_json(const ProposerRejection& rejection) {
    return {{"id", rejection.id},
            {"formula", rejection.formula},
            {"hypothesis", rejection.hypothesis},
            {"reason", rejection.reason}};
}

ProposerRejection rejection_from_json(const JsonField& field) {
    return {field.member("id").text(), field.member("formula").text(), field.member("hypothesis").text(),
            field.member("reason").text()};
}

Json to_json(const ProposalRequest& request) {
    Json json;
    json["generation"] = request.generation;
    json["wanted"] = request.wanted;
    json["suite"] = request.suite;
    json["measure"] = request.measure;
    json["retentions"] = request.retentions;
    json["max_nodes"] = request.max_nodes;
    json["columns"] = Json::array();
    for (const auto& column : request.columns)
        json["columns"].push_back({{"name", column.name}, {"help", column.help}});
    json["champions"] = Json::array();
    for (const auto& champion : request.champions) json["champions"].push_back(to_json(champion));
    json["rejected"] = Json::array();
    for (const auto& rejection : request.rejected) json["rejected"].push_back(to_json(rejection));
    return json;
}

Proposer::Proposer(ProposerOptions options, state::AnswerJournal& journal)
    : options_(std::move(options)), journal_(journal) {}

Proposals Proposer::propose(const ProposalRequest& request, const StopSignal& stop) {
    const std::string key = key_of(request.generation);
    if (journal_.find(key) == nullptr) {
        Json answer = ask(request, stop, options_.forgive ? 0 : failures_before(request.generation));
        options_.forgive = false; // the answer has the new count
        journal_.remember(key, std::move(answer));
    }
    static const std::string name = "the answer"; // not the file, whose place must not show in a run's reasons
    return proposals_from(JsonField(*journal_.find(key), name), request);
}

/// {"proposer", "proposals", "garbage"} and, where there is no answer, "error"; "failures" of the process until now,
/// where there were some.
Json Proposer::ask(const ProposalRequest& request, const StopSignal& stop, std::uint64_t failures) {
    Json kept;
    kept["proposer"] = who_;
    kept["garbage"] = Json::array();
    kept["proposals"] = Json::array();
    try {
        if (!process_) start(stop, failures);
        kept["proposer"] = who_;
        answer_to(request, kept, stop);
    } catch (const ProcessFailure& failure) {
        process_.reset();
        ++failures;
        kept["error"] = fmt::format("the proposer {}", failure.what());
    } catch (...) { // its answer would come when the next one is awaited
        process_.reset();
        throw;
    }
    if (failures > 0) kept["failures"] = failures;
    return kept;
}

/// In the run so far: each answer counts them.
std::uint64_t Proposer::failures_before(std::uint32_t generation) const {
    const Json* const before = journal_.find(key_of(generation - 1));
    if (before == nullptr || !before->is_object()) return 0;
    const auto count = before->find("failures");
    return count != before->end() && count->is_number_unsigned() ? count->get<std::uint64_t>() : 0;
}

void Proposer::start(const StopSignal& stop, std::uint64_t failures) {
    if (failures >= most_failures)
        throw ProcessFailure(ProcessFailure::Kind::died, "failed too often and is not started again");
    process_ = std::make_unique<JsonProcess>(options_.command, protocols, options_.timeout, stop);
    const auto who = process_->introduction().find("proposer");
    if (who == process_->introduction().end() || !who->is_string())
        throw ProcessFailure(ProcessFailure::Kind::nonsense, "does not say who it is (\"proposer\")");
    who_ = text::sentence(who->get_ref<const std::string&>(), words_shown);
}

void Proposer::answer_to(const ProposalRequest& request, Json& kept, const StopSignal& stop) {
    Json asked;
    asked["id"] = request.generation;
    asked.update(to_json(request));
    const auto deadline = process_->deadline();
    process_->send(asked);
    for (;;) {
        const std::string line = process_->receive_line(deadline, stop);
        auto answer = answer_from(line, request.generation);
        if (!answer) {
            kept["garbage"].push_back(text::sentence(line, words_shown));
            if (kept["garbage"].size() < most_garbage) continue;
            throw ProcessFailure(ProcessFailure::Kind::nonsense,
                                 fmt::format("wrote {} lines that are no answer", most_garbage));
        }
        keep(std::move(*answer), request.wanted, kept);
        return;
    }
}

} // namespace evictlab::evolution
