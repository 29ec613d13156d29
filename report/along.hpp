// How caches went along the continuation under the protocol decode: a table below that of a bench.
// SPDX-License-Identifier: MIT
#pragma once
#include <optional>
#include <string_view>

#include "framework/bench/scorecard.hpp"
#include "report/table.hpp"

namespace evictlab::report {

/// What stands above the table.
inline constexpr std::string_view along_note =
    "Attention loss along the continuation, mean over documents. Churn: of tokens that come, how many drive out one "
    "that "
    "an earlier cut had left. Later tokens kept: what is cached of the continuation at its end, over what keeping all "
    "alike would hold. Most cached: by a head, while it attends.";

/// A line for each row and budget, on the split that judges; nothing where the bench has no bins (Bench::bin).
std::optional<Table> along_table(const Bench& bench);

} // namespace evictlab::report
