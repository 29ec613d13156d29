// SPDX-License-Identifier: MIT
#include "report/run_status.hpp"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <cmath>

#include "base/text/shown.hpp"
#include "evolution/external/proposer.hpp"
#include "evolution/external/verdict_judge.hpp"
#include "evolution/run_figures.hpp"
#include "evolution/saved_run.hpp"
#include "evolution/shown.hpp"
#include "evolution/yardsticks_file.hpp"
#include "report/run_standing.hpp"
#include "report/run_text.hpp"
#include "report/shown_formula.hpp"

namespace evictlab::report {
namespace {

namespace fs = std::filesystem;
using evolution::Candidate;

constexpr std::size_t spark_width = 40;

/// When the state was saved last; 0 where nobody knows.
std::time_t saved_at(const fs::path& file) {
    struct stat status {};
    return ::stat(file.c_str(), &status) == 0 ? status.st_mtime : 0;
}

fs::path beside(const fs::path& state_file, const char* ending) { return state_file.string() + ending; }

ExternalStatus judge_status(const std::string& command, const fs::path& state_file) {
    auto journal = state::AnswerJournal::resume(beside(state_file, evolution::verdicts_ending));
    const evolution::VerdictJudge judge({}, journal); // starts nothing
    return {command, judge.answers(), judge.lost()};
}

ExternalStatus proposer_status(const std::string& command, const fs::path& state_file) {
    return {command, state::AnswerJournal::resume(beside(state_file, evolution::proposals_ending)).size(), ""};
}

std::optional<double> time_left(const RunStatus& status) {
    const evolution::RunState& state = status.state;
    const evolution::Pace pace{state.seconds, state.generation, state.counters.evaluations};
    const auto& since = status.holder->since;
    // A clock that was set back since then has not gone on for less than nothing.
    const double elapsed = since ? std::max(0.0, std::difftime(std::time(nullptr), *since)) : 0;
    return seconds_left(status.setup.limits, state, pace, elapsed);
}

double evaluations_a_second(const evolution::RunState& state) {
    return state.seconds > 0 ? static_cast<double>(state.counters.evaluations) / state.seconds : 0;
}

std::string standing(const RunStatus& status) {
    if (status.running) return "running in " + status.holder->text;
    if (status.holder) return "at its end, still open in " + status.holder->text;
    return status.state.stop_reason.empty() ? "stopped or killed: no process has it open" : "ended";
}

std::string suites_text(const evolution::RunIdentity& identity) {
    std::string text = fmt::format("{} by {}", identity.suite, identity.measure);
    for (const auto& more : identity.more_suites) text += fmt::format(", {} by {}", more.name, more.measure);
    return text;
}

std::string external_text(const ExternalStatus& external) {
    return fmt::format("{} answers of {}{}", external.answers, external.command,
                       external.lost.empty() ? "" : "; " + external.lost);
}

Json external_json(const std::optional<ExternalStatus>& external) {
    if (!external) return nullptr;
    Json json{{"command", external->command}, {"answers", external->answers}};
    if (!external->lost.empty()) json["lost"] = external->lost;
    return json;
}

Json champion_json(const Candidate& champion) {
    Json json;
    json["id"] = champion.id;
    json["generation"] = champion.generation;
    json["operator"] = champion.op;
    json["hypothesis"] = champion.hypothesis;
    json[champion.genome.text_key()] = champion.genome.text();
    add_shown(json, champion.genome);
    json["train"] = champion.train.average;
    json["valid"] = champion.valid->average;
    json["kl"] = nullptr;
    if (const auto& verdict = champion.verdict; verdict && verdict->valid)
        json["kl"] = {{"train", verdict->train.average}, {"valid", verdict->valid->average}};
    return json;
}

Json history_json(std::span<const evolution::HistoryLine> history) {
    Json json = Json::array();
    for (const auto& line : history)
        json.push_back({{"generation", line.generation},
                        {"best_train", line.best_train},
                        {"champion_train", line.champion_train},
                        {"champion_valid", line.champion_valid},
                        {"evaluations", line.evaluations}});
    return json;
}

Standing standing_of(const RunStatus& status) {
    Standing standing;
    standing.measure = status.setup.identity.measure;
    standing.start_name = status.setup.config.start;
    standing.relative = !status.setup.identity.reference[0].empty();
    standing.measures = {standing.measure};
    for (const auto& suite : status.setup.identity.more_suites) standing.measures.push_back(suite.measure);
    standing.yardsticks = status.yardsticks;
    return standing_between(std::move(standing), status.state);
}

Json of_splits(const std::array<double, 2>& figures) {
    Json json;
    for (std::size_t s = 0; s < figures.size(); ++s)
        json[s == 0 ? "train" : "valid"] = std::isfinite(figures[s]) ? Json(figures[s]) : Json(nullptr);
    return json;
}

/// What is known of it.
Json standing_json(const Standing& standing) {
    Json json;
    if (standing.documents > 0) json["documents"] = standing.documents;
    if (const auto& yardsticks = standing.yardsticks) {
        json["oracle"] = of_splits(yardsticks->oracle);
        json["best_published"] = of_splits(yardsticks->published);
        const std::string& name = yardsticks->rival.empty() ? yardsticks->published_name : yardsticks->rival;
        if (!name.empty()) json["best_published"]["scorer"] = name;
        for (const SearchSplit split : {SearchSplit::train, SearchSplit::valid}) {
            const auto s = static_cast<std::size_t>(split);
            const auto share = gap_closed(*yardsticks, split, standing.champion[s]);
            json["gap_closed"][s == 0 ? "train" : "valid"] = share ? Json(*share) : Json(nullptr);
        }
    }
    json["claims"] = claims_of(standing);
    json["behind_start"] = !behind_text(standing).empty();
    return json;
}

} // namespace

RunStatus read_status(const fs::path& state_file) {
    RunStatus status;
    status.file = state_file.string();
    status.holder = state::holder_of(state_file); // first: who ends between the two has saved its reason
    const Json content = state::read_state(state_file);
    const JsonField run(content, status.file);
    evolution::SavedRun saved = evolution::saved_run(run);
    status.setup = std::move(saved.setup);
    status.state = std::move(saved.state);
    // A resumed run still shows why it stopped before, until it has saved a generation of its own.
    const auto saved_by_holder = [&] { return status.holder->since && saved_at(state_file) > *status.holder->since; };
    status.running = status.holder && (status.state.stop_reason.empty() || !saved_by_holder());
    const evolution::RunIdentity& identity = status.setup.identity;
    if (status.setup.config.asked_of_model > 0) status.judge = judge_status(identity.judge_command, state_file);
    if (status.setup.config.proposals > 0) status.proposer = proposer_status(identity.proposer_command, state_file);
    if (status.running) status.seconds_left = time_left(status);
    status.yardsticks = read_yardsticks(state_file, status.setup, saved.retentions);
    return status;
}

std::string to_text(const RunStatus& status, Glyphs glyphs, std::optional<std::size_t> width) {
    const evolution::RunState& state = status.state;
    const Candidate& champion = state.champion();
    const ErrorSparks sparks = error_sparks(state.history, spark_width, glyphs);
    const Standing standing = standing_of(status);
    LabelledLines lines(width);
    lines.say("run", fmt::format("{}, seed {}: {}", suites_text(status.setup.identity), status.setup.config.seed,
                                 report::standing(status)));
    if (!status.running && !state.stop_reason.empty()) lines.say("stopped", state.stop_reason);
    lines.say("generation",
              fmt::format("{}; the last champion came in {}", state.generation, state.last_champion_generation));
    std::string text = lines.take() + "\n" + standing_text(standing, width) + "\n";
    const auto [what, how] = figures_text(standing);
    lines.say("figures", what);
    lines.say("", how);
    if (standing.documents > 0)
        lines.say("", fmt::format("on {} valid {}; test stays closed until a report", standing.documents,
                                  standing.relative ? "documents" : "patterns"));
    for (const std::string& claim : claims_of(standing)) lines.say("", claim);
    if (!standing.yardsticks) lines.say("", "the oracle is not known here: the run kept none beside its state");
    if (const std::string behind = behind_text(standing); !behind.empty()) lines.say("attention", behind);
    lines.say("best train", fmt::format("{:.6f}  {}", state.history.back().best_train, sparks.train));
    lines.say("champion", fmt::format("{:.6f} on valid  {}", champion.valid->average, sparks.valid));
    if (const auto& verdict = champion.verdict; verdict && verdict->valid)
        lines.say("KL", fmt::format("{:.5f} on train, {:.5f} on valid, inside the model", verdict->train.average,
                                    verdict->valid->average));
    lines.say("made", fmt::format("{} candidates, {} {} measured, {} a second", state.counters.candidates,
                                  state.counters.evaluations, made_text(status.setup.config.tunes),
                                  rate_text(evaluations_a_second(state))));
    lines.say("", shares_text(evolution::shares_of(state.counters)));
    if (!state.archive.empty()) lines.say("archive", fmt::format("{} formulas", state.archive.size()));
    if (status.judge) lines.say("judge", external_text(*status.judge));
    if (status.proposer) lines.say("proposer", external_text(*status.proposer));
    lines.say("time", time_text(state.seconds) +
                          (status.seconds_left ? fmt::format(", ETA {}", time_text(*status.seconds_left)) : ""));
    lines.say(champion.genome.text_key(), shown_text(champion.genome));
    lines.say("", fmt::format("{}, by {}", champion.id, champion.op));
    return text + lines.take();
}

Json to_json(const RunStatus& status) {
    const evolution::RunState& state = status.state;
    const evolution::RunIdentity& identity = status.setup.identity;
    const evolution::Shares shares = shares_of(state.counters);
    Json json;
    json["schema"] = "evictlab-status/1";
    json["state"] = status.file;
    json["suites"] = Json::array({{{"name", identity.suite}, {"measure", identity.measure}}});
    for (const auto& more : identity.more_suites)
        json["suites"].push_back({{"name", more.name}, {"measure", more.measure}});
    json["seed"] = status.setup.config.seed;
    json["running"] = status.running;
    json["open_in"] = status.holder ? Json(status.holder->text) : Json(nullptr);
    json["stop_reason"] = status.running ? "" : state.stop_reason;
    json["generation"] = state.generation;
    json["last_champion_generation"] = state.last_champion_generation;
    json["best_train"] = state.history.back().best_train;
    json["start"] = {{"formula", status.setup.config.start},
                     {"train", state.champions.front().train.average},
                     {"valid", state.champions.front().valid->average}};
    json["champion"] = champion_json(state.champion());
    json["standing"] = standing_json(standing_of(status));
    json["candidates"] = state.counters.candidates;
    json["accepted"] = state.counters.accepted;
    json["evaluations"] = state.counters.evaluations;
    json["evaluations_a_second"] = evaluations_a_second(state);
    json["shares"] = {{"duplicates", shares.duplicates},
                      {"semantic_duplicates", shares.semantic_duplicates},
                      {"raced_out", shares.raced_out},
                      {"refused", shares.refused}};
    json["archive"] = state.archive.size();
    json["judge"] = external_json(status.judge);
    json["proposer"] = external_json(status.proposer);
    json["seconds"] = state.seconds;
    json["seconds_left"] = status.seconds_left ? Json(*status.seconds_left) : Json(nullptr);
    json["command"] = identity.command;
    json["history"] = history_json(state.history);
    return json;
}

} // namespace evictlab::report
