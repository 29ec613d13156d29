// SPDX-License-Identifier: MIT
#include "framework/protocols/held_rows.hpp"

#include "framework/suite/trace.hpp"

namespace evictlab {

void HeldRows::add(const JudgedRow& row, std::size_t heads) {
    rows_.push_back({row.query, row.tokens, kept_.size(), mass_.size()});
    kept_.insert(kept_.end(), row.kept.begin(), row.kept.end());
    for (std::size_t head = 0; head < heads; ++head) {
        const double* mass = row.mass + head * row.mass_stride;
        mass_.insert(mass_.end(), mass, mass + padded(row.tokens));
    }
}

JudgedRow HeldRows::operator[](std::size_t index) const {
    const Row& row = rows_[index];
    const std::size_t kept = kept_.size() / rows_.size();
    return {row.query, row.tokens, std::span(kept_).subspan(row.kept_at, kept), mass_.data() + row.mass_at,
            padded(row.tokens)};
}

void HeldRows::clear() {
    rows_.clear();
    kept_.clear();
    mass_.clear();
}

} // namespace evictlab
