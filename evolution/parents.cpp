// SPDX-License-Identifier: MIT
#include "evolution/parents.hpp"

#include "evolution/islands.hpp"

namespace evictlab::evolution {
namespace {

constexpr int tries_for_accepted = 8;
constexpr int tournament_rounds = 3;
constexpr double champions_share = 0.7; ///< of the parents, where a judge chose the champion: errors mislead near it

Member as_member(const Candidate& champion) {
    return {champion.id, champion.genome, champion.train, true, 0, 0, skeleton_of(champion.genome)};
}

} // namespace

Parents::Parents(const RunState& state, const RunConfig& config)
    : islands_(config.islands), archive_(state.archive), archive_share_(config.archive) {
    // The judge's champion need not be among the best by error, and so may have no place in the population.
    if (config.asked_of_model > 0) champion_ = as_member(state.champion());
    for (const Member& member : state.population) islands_[member.island].members.push_back(&member);
    if (config.parents != ParentSelection::lexicase) return;
    for (Island& island : islands_) island.lexicase.emplace(island.members);
}

const Member& Parents::draw(const Island& island, Rng& rng) const {
    if (champion_ && rng.chance(champions_share)) return *champion_;
    if (archive_share_ > 0 && !archive_.empty() && rng.chance(archive_share_)) return rng.any(archive_);
    if (island.lexicase) return *island.members[island.lexicase->choose(rng)];
    return *island.members[tournament(island.members.size(), rng, tournament_rounds)];
}

const Member& Parents::choose(std::uint32_t slot, Mating mating, Rng& rng) const {
    const Island& island = islands_[island_of_slot(slot, static_cast<std::uint32_t>(islands_.size()))];
    const Member* member = &draw(island, rng);
    for (int i = 0; i < tries_for_accepted && mating == Mating::accepted && !member->accepted; ++i)
        member = &draw(island, rng);
    return *member;
}

} // namespace evictlab::evolution
