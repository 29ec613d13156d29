// SPDX-License-Identifier: MIT
#include "evolution/archive.hpp"

#include <algorithm>

namespace evictlab::evolution {
namespace {

std::uint32_t family_of(ColumnId id) {
    if (columns::kind(id) != ColumnKind::token) return 0;
    const ColumnNeeds needs = columns::needs(id);
    if (needs == ColumnNeeds::tensors || needs == ColumnNeeds::wov_norm || needs == ColumnNeeds::wo_gram ||
        needs == ColumnNeeds::reconstruction)
        return 1;
    if (columns::queries(id) == 0) return 2;
    return columns::history(id) < all_history ? 3 : 4;
}

bool better(const Member& a, const Member& b) {
    if (a.train.average != b.train.average) return a.train.average < b.train.average;
    if (a.genome.size() != b.genome.size()) return a.genome.size() < b.genome.size();
    return a.genome.hash() < b.genome.hash();
}

} // namespace

std::uint32_t archive_cell(const formula::Formula& formula) {
    std::uint32_t families = 0;
    for (const ColumnId id : formula.columns()) families |= 1U << family_of(id);
    const std::size_t nodes = formula.size();
    const std::uint32_t size = nodes <= 7 ? 0 : nodes <= 15 ? 1 : nodes <= 31 ? 2 : 3;
    return families * 4 + size;
}

void offer_to_archive(std::vector<Member>& archive, std::span<const Member> members) {
    for (const Member& member : members) {
        const std::uint32_t cell = archive_cell(member.genome.formula());
        const auto at = std::ranges::lower_bound(
            archive, cell, {}, [](const Member& kept) { return archive_cell(kept.genome.formula()); });
        if (at == archive.end() || archive_cell(at->genome.formula()) != cell)
            archive.insert(at, member);
        else if (better(member, *at))
            *at = member;
    }
}

} // namespace evictlab::evolution
