// A bench result as people and programs want it: aligned text for a terminal, Markdown, CSV, JSON.
// SPDX-License-Identifier: MIT
#pragma once
#include <string>
#include <string_view>

#include "framework/bench/scorecard.hpp"
#include "report/bench_json.hpp"

namespace evictlab::report {

enum class Format : std::uint8_t { table, json, markdown, csv };

/// "table", "json", "markdown" or "csv"; UsageError for anything else.
Format parse_format(std::string_view name);

/// Ends in a line end. Rows best first (JSON: in the bench's own order), figures of tables and Markdown rounded to four
/// decimals, of CSV and JSON in full. Tables show the retentions of the test split alone, the others all.
std::string render(const Bench& bench, Format format, const BenchJsonOptions& json_options = {});

/// A figure as tables show it.
std::string figure(double value);

} // namespace evictlab::report
