// Columns of one layer of one document, kept from call to call. SPDX-License-Identifier: MIT
#pragma once
#include <evictlab/evictlab.h>

#include <map>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "capi/open_scorer.hpp"
#include "framework/scoring/held_columns.hpp"

/// Thread-safe.
struct evl_memory {
    /// The columns of these places: those that it does not hold are computed from the view. UsageError where the view
    /// is of another layer than before.
    evictlab::HeldColumns columns(const evictlab::LayerView& view, const evictlab::AttentionRows* rows,
                                  const evictlab::ColumnPlaces& places);
    /// Holds a column that the caller computed, [heads][tokens] packed, in place of computing it.
    void put(const evl_layer& layer, const std::string& column, const double* values);
    /// UsageError unless put() gave all that the scorer reads.
    void require_all(const evl_scorer& scorer);

private:
    void check(const std::vector<std::size_t>& identity);
    void compute(const evictlab::LayerView& view, const evictlab::AttentionRows* rows,
                 std::span<const evictlab::ColumnId> missing);

    std::mutex mutex_;
    std::vector<std::size_t> identity_;                 ///< of the layer that it is of; empty at first
    std::map<std::string, evictlab::HeldColumn> held_;  ///< by name: ids may go to other columns between calls
    std::map<std::string, evictlab::HeldColumn> given_; ///< by name, by put()
};
