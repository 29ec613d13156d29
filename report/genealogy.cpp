// SPDX-License-Identifier: MIT
#include "report/genealogy.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <deque>
#include <map>
#include <unordered_map>
#include <unordered_set>

#include "base/json/one_of.hpp"
#include "base/text/shown.hpp"
#include "evolution/saved_run.hpp"
#include "evolution/shown.hpp"
#include "report/shown_formula.hpp"
#include "state/store.hpp"

namespace evictlab::report {
namespace {

using evolution::Candidate;
using evolution::Status;

Ancestor ancestor_from_json(const JsonField& line) {
    Ancestor ancestor;
    ancestor.id = line.member("id").text();
    ancestor.generation = line.member("generation").whole<std::uint32_t>();
    ancestor.parents = line.member("parents").texts();
    ancestor.op = line.member("operator").text();
    ancestor.hypothesis = line.member("hypothesis").text();
    ancestor.text_key = line.optional_member("scorer") ? "scorer" : "formula";
    ancestor.text = line.member(ancestor.text_key).text();
    constexpr std::array<std::string_view, 3> known{"champion", "accepted", "rejected"};
    const std::string& name = one_of(line.member("status"), known);
    for (const Status status : {Status::accepted, Status::champion})
        if (name == to_string(status)) ancestor.status = status;
    return ancestor;
}

/// All candidates of a run by id, and those that were asked for in full.
class Journal {
public:
    Journal(const std::filesystem::path& state_file, std::uint32_t last_generation, const LogOptions& options)
        : file_(state_file.string()) {
        state::read_journal(state_file, [&](const Json& json) {
            const JsonField line(json, file_, "journal");
            Ancestor ancestor = ancestor_from_json(line);
            if (ancestor.generation > last_generation) return; // saved since the state was read
            count(ancestor);
            if (options.accepted && ancestor.status == Status::accepted)
                accepted.push_back(evolution::candidate_from_json(line));
            if (options.rejected > 0 && ancestor.status == Status::rejected) {
                rejected_.push_back(json);
                if (rejected_.size() > options.rejected) rejected_.pop_front();
            }
            std::string id = ancestor.id;
            candidates_.emplace(std::move(id), std::move(ancestor));
        });
    }

    const Ancestor& at(const std::string& id) const {
        const auto found = candidates_.find(id);
        if (found == candidates_.end())
            throw Error(
                fmt::format("the journal of '{}' lacks the candidate {}, from which others descend", file_, id));
        return found->second;
    }
    std::size_t size() const { return candidates_.size(); }
    std::vector<Candidate> rejected() const {
        std::vector<Candidate> all;
        for (const Json& json : rejected_)
            all.push_back(evolution::candidate_from_json(JsonField(json, file_, "journal")));
        return all;
    }

    std::vector<OperatorCount> operators() const {
        std::vector<OperatorCount> all;
        for (const auto& [op, counted] : operators_) all.push_back(counted);
        return all;
    }

    std::vector<Candidate> accepted;

private:
    void count(const Ancestor& ancestor) {
        OperatorCount& counted = operators_[ancestor.op];
        counted.op = ancestor.op;
        ++counted.candidates;
        if (ancestor.status != Status::rejected) ++counted.accepted;
        if (ancestor.status == Status::champion) ++counted.champions;
    }

    std::string file_;
    std::unordered_map<std::string, Ancestor> candidates_;
    std::deque<Json> rejected_;
    std::map<std::string, OperatorCount> operators_;
};

/// Follows first parents, which are what was changed, to the champion before.
ChampionEntry entry_of(const Candidate& champion, const Journal& journal,
                       const std::unordered_set<std::string>& champions) {
    ChampionEntry entry;
    entry.champion = champion;
    std::unordered_set<std::string> mates;
    std::vector<std::string> parents = champion.parents;
    while (!parents.empty()) {
        for (std::size_t i = 1; i < parents.size(); ++i)
            if (!champions.contains(parents[i]) && mates.insert(parents[i]).second)
                entry.mates.push_back(journal.at(parents[i]));
        if (champions.contains(parents.front())) {
            entry.from = parents.front();
            break;
        }
        entry.by_way_of.push_back(journal.at(parents.front()));
        if (entry.by_way_of.size() > journal.size())
            throw Error(fmt::format("the journal makes {} its own ancestor", champion.id));
        parents = entry.by_way_of.back().parents;
    }
    std::ranges::reverse(entry.by_way_of);
    std::ranges::reverse(entry.mates);
    return entry;
}

/// The share of `before` that was saved.
double saved(double now, double before) { return before > 0 ? 1 - now / before : 0; }

std::optional<double> kl_of(const Candidate& candidate) {
    if (!candidate.verdict || !candidate.verdict->valid) return std::nullopt;
    return candidate.verdict->valid->average;
}

/// "0.368000 (1.23 % lower)".
std::string figure_text(double now, const double* before) {
    if (before == nullptr) return fmt::format("{:.6f}", now);
    const double change = 100 * saved(now, *before);
    return fmt::format("{:.6f} ({:.2f} % {})", now, std::abs(change), change < 0 ? "higher" : "lower");
}

/// Of a candidate that was measured on valid.
std::string figures_text(const Candidate& now, const Candidate* before) {
    std::string text = "train " + figure_text(now.train.average, before ? &before->train.average : nullptr);
    text += ", valid " + figure_text(now.valid->average, before ? &before->valid->average : nullptr);
    if (const auto kl = kl_of(now)) {
        const auto kl_before = before ? kl_of(*before) : std::nullopt;
        text += ", KL " + figure_text(*kl, kl_before ? &*kl_before : nullptr);
    }
    return text;
}

std::string ancestor_text(const Ancestor& ancestor) {
    std::string with;
    for (std::size_t i = 1; i < ancestor.parents.size(); ++i) with += (i == 1 ? " with " : ", ") + ancestor.parents[i];
    return text::line(fmt::format("  {:<8} {}, {}{}: {}", ancestor.id, to_string(ancestor.status), ancestor.op, with,
                                  ancestor.hypothesis)) +
           "\n";
}

std::string entry_text(const ChampionEntry& entry, const Candidate* before) {
    const Candidate& champion = entry.champion;
    std::string text = fmt::format("{}  champion of generation {}, by {}\n", text::line(champion.id),
                                   champion.generation, text::line(champion.op));
    text += fmt::format("  {}\n  {}\n  {}\n", text::line(champion.hypothesis), figures_text(champion, before),
                        text::line(champion.genome.text()));
    if (const std::string shown = shown_text(champion.genome); shown != champion.genome.text())
        text += fmt::format("  simplified {}\n", text::line(shown));
    if (champion.parents.empty()) return text;
    std::string with;
    for (std::size_t i = 1; i < champion.parents.size(); ++i) with += (i == 1 ? " with " : ", ") + champion.parents[i];
    text += text::line(fmt::format("  from {}{}{}", entry.from.empty() ? "nothing before" : entry.from,
                                   entry.by_way_of.empty() ? "" : " by way of " + champion.parents.front(), with)) +
            "\n";
    for (const Ancestor& ancestor : entry.by_way_of) text += "  " + ancestor_text(ancestor);
    if (!entry.mates.empty()) text += "  mates\n";
    for (const Ancestor& mate : entry.mates) text += "  " + ancestor_text(mate);
    return text;
}

std::string candidate_text(const Candidate& candidate) {
    std::string text =
        fmt::format("{}  {} in generation {}, by {}\n  {}\n", text::line(candidate.id), to_string(candidate.status),
                    candidate.generation, text::line(candidate.op), text::line(candidate.hypothesis));
    if (candidate.valid) text += fmt::format("  {}\n", figures_text(candidate, nullptr));
    return text + fmt::format("  {}\n  {}\n", text::line(candidate.reason), text::line(candidate.genome.text()));
}

/// As in the journal, but without what each document says.
Json candidate_json(Candidate candidate) {
    candidate.train.by_document.clear();
    if (candidate.valid) candidate.valid->by_document.clear();
    if (auto& verdict = candidate.verdict) {
        verdict->train.by_document.clear();
        if (verdict->valid) verdict->valid->by_document.clear();
    }
    return to_json(candidate);
}

Json ancestors_json(const std::vector<Ancestor>& ancestors) {
    Json json = Json::array();
    for (const Ancestor& ancestor : ancestors)
        json.push_back({{"id", ancestor.id},
                        {"generation", ancestor.generation},
                        {"parents", ancestor.parents},
                        {"operator", ancestor.op},
                        {"hypothesis", ancestor.hypothesis},
                        {ancestor.text_key, ancestor.text},
                        {"status", to_string(ancestor.status)}});
    return json;
}

Json improvement_json(const Candidate& now, const Candidate& before) {
    const auto kl = kl_of(now), kl_before = kl_of(before);
    return {{"train", saved(now.train.average, before.train.average)},
            {"valid", saved(now.valid->average, before.valid->average)},
            {"kl", kl && kl_before ? Json(saved(*kl, *kl_before)) : Json(nullptr)}};
}

Json candidates_json(const std::vector<Candidate>& candidates) {
    Json json = Json::array();
    for (const Candidate& candidate : candidates) json.push_back(candidate_json(candidate));
    return json;
}

} // namespace

RunLog read_log(const std::filesystem::path& state_file, const LogOptions& options) {
    RunLog log;
    log.file = state_file.string();
    const Json content = state::read_state(state_file);
    const evolution::RunState state = evolution::saved_run(JsonField(content, log.file)).state;
    Journal journal(state_file, state.generation, options);
    std::unordered_set<std::string> champions;
    for (const Candidate& champion : state.champions) {
        log.champions.push_back(entry_of(champion, journal, champions));
        champions.insert(champion.id);
    }
    log.accepted = std::move(journal.accepted);
    log.rejected = journal.rejected();
    log.operators = journal.operators();
    return log;
}

std::string to_text(const RunLog& log) {
    std::string text;
    const Candidate* before = nullptr;
    for (const ChampionEntry& entry : log.champions) {
        text += (before ? "\n" : "") + entry_text(entry, before);
        before = &entry.champion;
    }
    for (const auto* candidates : {&log.accepted, &log.rejected})
        for (const Candidate& candidate : *candidates) text += "\n" + candidate_text(candidate);
    return text;
}

Json to_json(const RunLog& log) {
    Json json;
    json["schema"] = "evictlab-log/1";
    json["state"] = log.file;
    json["champions"] = Json::array();
    const Candidate* before = nullptr;
    for (const ChampionEntry& entry : log.champions) {
        Json champion = candidate_json(entry.champion);
        add_shown(champion, entry.champion.genome);
        champion["improvement"] = before ? improvement_json(entry.champion, *before) : Json(nullptr);
        champion["from"] = entry.from.empty() ? Json(nullptr) : Json(entry.from);
        champion["by_way_of"] = ancestors_json(entry.by_way_of);
        champion["mates"] = ancestors_json(entry.mates);
        json["champions"].push_back(std::move(champion));
        before = &entry.champion;
    }
    json["accepted"] = candidates_json(log.accepted);
    json["rejected"] = candidates_json(log.rejected);
    json["operators"] = Json::array();
    for (const OperatorCount& counted : log.operators)
        json["operators"].push_back({{"operator", counted.op},
                                     {"candidates", counted.candidates},
                                     {"accepted", counted.accepted},
                                     {"champions", counted.champions}});
    return json;
}

} // namespace evictlab::report
