// A bench result as people and programs want it: aligned text for a terminal, Markdown, CSV, JSON.
// SPDX-License-Identifier: MIT
#pragma once
#include <optional>
#include <string>
#include <string_view>

#include "framework/bench/scorecard.hpp"
#include "report/bench_json.hpp"

namespace evictlab::report {

enum class Format : std::uint8_t { table, json, markdown, csv };

/// "table", "json", "markdown" or "csv"; UsageError for anything else.
Format parse_format(std::string_view name);

struct Rendering {
    BenchJsonOptions json{};
    std::optional<std::size_t>
        width{};         ///< of the terminal that a table must fit, leaving columns out; none: it need not
    bool colour = false; ///< of a table
};

/// Ends in a line end. Rows best first (JSON: in the bench's own order), figures of tables and Markdown rounded to four
/// decimals, of CSV and JSON in full. Tables show the retentions of the split that judges alone, the others all. Where
/// there are too few documents to tell rows apart, none has a rank.
std::string render(const Bench& bench, Format format, const Rendering& rendering = {});

/// A figure as tables show it.
std::string figure(double value);

} // namespace evictlab::report
