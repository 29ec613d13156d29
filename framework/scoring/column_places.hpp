// Which column lies where: the one way from a column's id to its place among those that are held.
// SPDX-License-Identifier: MIT
#pragma once
#include <algorithm>
#include <cstddef>
#include <span>
#include <vector>

#include "framework/columns/column.hpp"

namespace evictlab {

/// Some columns, each at a place below size(). A value; immutable once made, so safe to share between threads. Keeps no
/// column alive: whoever asks by id holds it.
class ColumnPlaces {
public:
    ColumnPlaces() = default;
    /// Of these columns, each once, in ascending order.
    explicit ColumnPlaces(std::vector<ColumnId> ids) : ids_(std::move(ids)) {
        std::ranges::sort(ids_);
        ids_.erase(std::unique(ids_.begin(), ids_.end()), ids_.end());
    }
    explicit ColumnPlaces(std::span<const ColumnId> ids) : ColumnPlaces(std::vector(ids.begin(), ids.end())) {}

    std::span<const ColumnId> ids() const { return ids_; } ///< [place]
    std::size_t size() const { return ids_.size(); }
    std::size_t of(ColumnId id) const { ///< one of ids()
        return static_cast<std::size_t>(std::ranges::lower_bound(ids_, id) - ids_.begin());
    }

private:
    std::vector<ColumnId> ids_;
};

} // namespace evictlab
