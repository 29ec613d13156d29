// SPDX-License-Identifier: MIT
#include "evolution/proposed.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_set>

namespace evictlab::evolution {
namespace {

constexpr const char* proposer_operator = "proposer";
constexpr std::size_t shown_champions = 8; ///< the last ones

ProposerChampion shown(const Candidate& candidate, std::span<const std::string> documents) {
    ProposerChampion champion{candidate.id,
                              candidate.genome.text(),
                              candidate.hypothesis,
                              candidate.op,
                              candidate.train.average,
                              candidate.valid->average,
                              {}};
    for (std::size_t d = 0; d < std::min(documents.size(), candidate.train.by_document.size()); ++d)
        champion.documents.push_back({documents[d], candidate.train.by_document[d]});
    return champion;
}

ProposalRequest request_for(const RunState& before, const RunConfig& config, const External& external) {
    ProposalRequest request = external.about;
    request.generation = before.generation + 1;
    request.wanted = config.proposals;
    request.max_nodes = config.max_nodes;
    const auto first = before.champions.size() - std::min(before.champions.size(), shown_champions);
    for (std::size_t i = first; i < before.champions.size(); ++i)
        request.champions.push_back(shown(before.champions[i], external.documents));
    request.rejected = before.proposal_outcomes;
    return request;
}

/// Why a formula that the proposer's client let through cannot be measured in its canonical form, or "".
std::string refusal(const formula::Formula& formula, const RunConfig& config) {
    if (formula.size() > config.max_nodes)
        return fmt::format("has {} nodes, more than {}", formula.size(), config.max_nodes);
    return ranks_tokens(formula) ? "" : "gives all tokens of a row the same score";
}

} // namespace

Proposed proposals_for(const RunState& before, const Seen& seen, const RunConfig& config, const External& external,
                       const StopSignal& stop) {
    Proposals answer = external.proposer->propose(request_for(before, config, external), stop);
    Proposed out;
    out.failure = std::move(answer.failure);
    std::unordered_set<std::uint64_t> fresh;
    for (std::size_t i = 0; i < answer.proposals.size(); ++i) {
        const Proposal& proposal = answer.proposals[i];
        const auto slot = static_cast<std::uint32_t>(config.population + config.tuned + i);
        std::string why = proposal.reason;
        std::optional<Bred> bred;
        if (proposal.formula) {
            bred = Bred{new_candidate(before.generation + 1, slot, Genome::canonical(*proposal.formula)), {}, 0, 0};
            why = refusal(bred->candidate.genome.formula(), config);
        }
        if (!why.empty()) {
            out.refused.push_back(
                {fmt::format("g{}-s{}", before.generation + 1, slot), proposal.text, proposal.hypothesis, why});
            continue;
        }
        const std::uint64_t hash = bred->candidate.genome.hash();
        if (seen.hashes.contains(hash) || !fresh.insert(hash).second) {
            ++out.duplicates;
            out.refused.push_back({bred->candidate.id, proposal.text, proposal.hypothesis, "was tried before"});
            continue;
        }
        bred->candidate.op = proposer_operator;
        bred->candidate.hypothesis = proposal.hypothesis;
        bred->candidate.parents = {before.champion().id};
        bred->parent = {before.champion().train.average, before.champion().genome.size()};
        out.bred.push_back(std::move(*bred));
    }
    return out;
}

std::vector<ProposerRejection> outcomes_of(const std::vector<Candidate>& candidates,
                                           std::vector<ProposerRejection> refused) {
    for (const Candidate& candidate : candidates)
        if (candidate.op == proposer_operator && candidate.status != Status::champion)
            refused.push_back({candidate.id, candidate.genome.text(), candidate.hypothesis, candidate.reason});
    return refused;
}

} // namespace evictlab::evolution
