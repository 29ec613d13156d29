// SPDX-License-Identifier: MIT
#include "evolution/model_gate.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <tuple>

#include "base/statistics/geometric_mean.hpp"
#include "base/statistics/mean.hpp"
#include "evolution/gates.hpp"

namespace evictlab::evolution {
namespace {

constexpr std::size_t heat_size = 4; // documents that are asked about at a time
constexpr double heat_margin = 0.2;  // in the sum of logarithms, that a heat forgives: it is of few documents
constexpr double refused_ratio = 10; // what a scorer that cannot be judged counts as: far worse, but a number
constexpr const char* split_names[] = {"train", "valid"}; // by SearchSplit

using Divergences = std::span<const std::vector<double>>; // [document][retention]

/// The divergences of a verdict on all of the judge's documents.
Divergences complete(const FormulaErrors& verdict, std::size_t documents) {
    if (verdict.by_document.size() != documents)
        throw Error(fmt::format("a saved verdict is of {} documents, but the judge's are {}: the run's state was not "
                                "written by evictlab",
                                verdict.by_document.size(), documents));
    return verdict.by_document;
}

/// Of each of `own` documents: the mean logarithm of its ratio to `other`'s, which may have more behind them.
std::vector<double> log_ratios(Divergences own, Divergences other) {
    std::vector<double> logs;
    for (std::size_t d = 0; d < own.size(); ++d) logs.push_back(mean_log(own[d]) - mean_log(other[d]));
    return logs;
}

/// The documents in the order of a race, which begins at others in each round: no few of them shall decide for all that
/// is tried.
std::vector<std::size_t> race_order(std::size_t documents, std::size_t round) {
    std::vector<std::size_t> order(documents);
    for (std::size_t i = 0; i < documents; ++i) order[i] = (round * heat_size + i) % documents;
    return order;
}

std::span<const std::size_t> next_heat(std::span<const std::size_t> order, std::size_t first) {
    return order.subspan(first, std::min(heat_size, order.size() - first));
}

/// What the judge is asked about: the proposer's candidates, then the champion's own offspring in the order of slots,
/// then the best by train error. Near the champion errors say little of the model, and the lowest are more often worse
/// there.
std::vector<Candidate*> chosen_of(const Candidate& champion, std::vector<Candidate>& candidates, std::size_t count) {
    constexpr double most = 1 + offline_slack;
    std::vector<Candidate*> chosen;
    for (Candidate& candidate : candidates) {
        if (candidate.status != Status::accepted || !candidate.valid) continue;
        if (candidate.train.average > most * champion.train.average) continue;
        if (candidate.valid->average > most * champion.valid->average) continue;
        chosen.push_back(&candidate);
    }
    std::ranges::sort(chosen, {}, [&](const Candidate* one) {
        const bool offspring = std::ranges::find(one->parents, champion.id) != one->parents.end();
        const int turn = one->op == "proposer" ? 0 : offspring ? 1 : 2;
        return std::tuple(turn, turn < 2 ? 0 : one->train.average, one->slot);
    });
    chosen.resize(std::min(chosen.size(), count));
    return chosen;
}

} // namespace

double PairedRatio::ratio() const { return std::exp(mean_log); }

PairedRatio paired_ratio(const FormulaErrors& verdict, const FormulaErrors& other) {
    const std::vector<double> logs = log_ratios(verdict.by_document, complete(other, verdict.by_document.size()));
    const double by = mean(logs);
    return {by, standard_error(logs, by)};
}

FormulaErrors summarise_verdict(std::vector<std::vector<double>> kl) {
    FormulaErrors out;
    out.by_retention = geometric_means(kl);
    out.average = std::exp(mean_log(out.by_retention));
    out.by_document = std::move(kl);
    return out;
}

std::vector<std::string> ModelGate::documents(SearchSplit split) {
    std::vector<std::string> names;
    const char* const name = split_names[static_cast<std::size_t>(split)];
    for (JudgeDocument& document : judge_.documents(name, stop_)) names.push_back(std::move(document.name));
    if (names.empty()) throw Error(fmt::format("the judge has no documents of the split {}", name));
    return names;
}

std::vector<ModelAnswer> ModelGate::verdicts(std::span<const ModelQuestion> questions) {
    std::vector<ModelAnswer> verdicts = judge_.ask(questions, stop_);
    if (const std::string why = judge_.lost(); !why.empty()) throw JudgeLost(why);
    return verdicts;
}

/// Adds the documents' figures to each contender that is still in.
void ModelGate::ask(std::span<Contender> contenders, const std::vector<std::string>& documents) {
    std::vector<ModelQuestion> questions;
    std::vector<Contender*> asked;
    for (Contender& contender : contenders)
        if (contender.out.empty()) {
            questions.push_back({contender.candidate->genome.scorer_text(), documents});
            asked.push_back(&contender);
        }
    std::vector<ModelAnswer> verdicts = this->verdicts(questions);
    for (std::size_t i = 0; i < asked.size(); ++i) {
        if (!verdicts[i].failure.empty()) asked[i]->out = "the judge could not tell: " + verdicts[i].failure;
        std::ranges::move(verdicts[i].kl, std::back_inserter(asked[i]->kl));
    }
}

void ModelGate::judge_start(Candidate& start) {
    start.verdict.emplace();
    for (const SearchSplit split : {SearchSplit::train, SearchSplit::valid}) {
        Contender contender{&start, {}, ""};
        ask({&contender, 1}, documents(split));
        if (!contender.out.empty()) throw Error(fmt::format("the start formula: {}", contender.out));
        (split == SearchSplit::train ? start.verdict->train : start.verdict->valid.emplace()) =
            summarise_verdict(std::move(contender.kl));
    }
}

void ModelGate::race_on_train(std::vector<Contender>& contenders, const FormulaErrors& champion) {
    const std::vector<std::string> all = documents(SearchSplit::train);
    const Divergences of_champion = complete(champion, all.size());
    const std::vector<std::size_t> order = race_order(all.size(), contenders.front().candidate->generation);
    std::vector<std::vector<double>> other; // the champion's, in the race's order
    while (other.size() < all.size()) {
        std::vector<std::string> heat;
        for (const std::size_t document : next_heat(order, other.size())) {
            heat.push_back(all[document]);
            other.push_back(of_champion[document]);
        }
        ask(contenders, heat);
        for (Contender& contender : contenders) {
            if (!contender.out.empty()) continue;
            const double by = mean(log_ratios(contender.kl, other));
            if (by >= (other.size() < all.size() ? heat_margin / static_cast<double>(other.size()) : 0))
                contender.out =
                    fmt::format("the model's KL divergence is {:.3f} of the champion's on {} train documents",
                                std::exp(by), other.size());
        }
    }
    for (Contender& contender : contenders) {
        if (!contender.out.empty()) continue;
        std::vector<std::vector<double>> in_order(all.size());
        for (std::size_t i = 0; i < all.size(); ++i) in_order[order[i]] = std::move(contender.kl[i]);
        contender.kl = std::move(in_order);
    }
}

double ModelGate::raced_ratio(const std::string& scorer, const FormulaErrors& champion, std::size_t round) {
    const std::vector<std::string> all = documents(SearchSplit::train);
    const Divergences of_champion = complete(champion, all.size());
    const std::vector<std::size_t> order = race_order(all.size(), round);
    std::vector<std::vector<double>> own, other;
    double by = 0;
    while (own.size() < all.size() && by <= 0) {
        ModelQuestion question{scorer, {}};
        for (const std::size_t document : next_heat(order, own.size())) {
            question.documents.push_back(all[document]);
            other.push_back(of_champion[document]);
        }
        ModelAnswer verdict = std::move(verdicts({&question, 1}).front());
        if (!verdict.failure.empty()) return refused_ratio;
        std::ranges::move(verdict.kl, std::back_inserter(own));
        by = mean(log_ratios(own, other));
    }
    return std::exp(by);
}

void ModelGate::judge(RunState& state, std::vector<Candidate>& candidates, std::size_t count) {
    std::vector<Contender> contenders;
    for (Candidate* candidate : chosen_of(state.champion(), candidates, count))
        contenders.push_back({candidate, {}, ""});
    if (!contenders.empty()) judge(state, std::move(contenders));
}

void ModelGate::judge(RunState& state, Candidate& candidate) {
    judge(state, std::vector<Contender>{{&candidate, {}, ""}});
}

void ModelGate::judge(RunState& state, std::vector<Contender> contenders) {
    race_on_train(contenders, state.champion().verdict->train);
    std::vector<Contender> passed;
    for (Contender& contender : contenders) {
        if (!contender.out.empty()) {
            contender.candidate->reason += "; " + contender.out;
            continue;
        }
        contender.candidate->verdict.emplace().train = summarise_verdict(std::move(contender.kl));
        passed.push_back({contender.candidate, {}, ""});
    }
    ask(passed, documents(SearchSplit::valid));
    for (Contender& contender : passed) {
        if (contender.out.empty()) {
            contender.candidate->verdict->valid = summarise_verdict(std::move(contender.kl));
            promote(state, *contender.candidate);
        } else {
            contender.candidate->reason += "; " + contender.out;
        }
    }
}

/// Against the champion that those before it left, and on valid against the best that a champion had there, so that
/// what chance forgives does not add up.
void ModelGate::promote(RunState& state, Candidate& candidate) {
    const CandidateVerdict &own = *candidate.verdict, &champion = *state.champion().verdict;
    const auto by_valid = [](const Candidate& one) { return one.verdict->valid->average; };
    const CandidateVerdict& best = *std::ranges::min_element(state.champions, {}, by_valid)->verdict;
    const PairedRatio train = paired_ratio(own.train, champion.train),
                      valid = paired_ratio(*own.valid, *champion.valid),
                      best_valid = paired_ratio(*own.valid, *best.valid);
    const auto documents = [](const FormulaErrors& of) { return static_cast<double>(of.by_document.size()); };
    const double all = (train.mean_log * documents(own.train) + valid.mean_log * documents(*own.valid)) /
                       (documents(own.train) + documents(*own.valid));
    candidate.reason +=
        fmt::format("; the model's KL divergence is {:.3f} of the champion's on train, {:.3f} on valid "
                    "and {:.3f} on all documents, and on valid {:.3f} (chance: {:.3f}) of the best",
                    train.ratio(), valid.ratio(), std::exp(all), best_valid.ratio(), std::exp(best_valid.error));
    if (!(train.mean_log < 0 && all < 0 && best_valid.mean_log <= best_valid.error)) return;
    candidate.status = Status::champion;
    state.champions.push_back(candidate);
    state.last_champion_generation = candidate.generation;
}

} // namespace evictlab::evolution
