// Columns of one layer of one document, kept from call to call. SPDX-License-Identifier: MIT
#pragma once
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "framework/scoring/prompt_columns.hpp"
#include "framework/scoring/scorer_run.hpp"

/// Thread-safe.
struct evl_memory {
    /// LayerInput::columns for these ids, ascending: those that it does not hold are computed from the view. The values
    /// stay valid as long as the function that is returned. UsageError where the view is of another layer than before.
    std::function<evictlab::ColumnValues(evictlab::ColumnId)> columns(const evictlab::LayerView& view,
                                                                      std::span<const evictlab::ColumnId> ids);

private:
    using Values = std::shared_ptr<const std::vector<double>>; ///< [heads][tokens], padded behind
    void check(const evictlab::LayerView& view);
    void compute(const evictlab::LayerView& view, std::span<const evictlab::ColumnId> missing);

    std::mutex mutex_;
    std::vector<std::size_t> identity_;  ///< of the layer that it is of; empty at first
    std::map<std::string, Values> held_; ///< by name: ids may go to other columns between calls
};
