// The class of a scorer as results say it: docs/report.md.
// SPDX-License-Identifier: MIT
#pragma once
#include "base/json/json.hpp"
#include "framework/scorers/scorer_class.hpp"

namespace evictlab {

/// {"reads": "q64", "query_aware": true, ...}; query_aware is null where only the plugin knows.
Json to_json(const ScorerClass& scorer_class);

} // namespace evictlab
