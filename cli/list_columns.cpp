// SPDX-License-Identifier: MIT
#include "cli/list_columns.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>

#include "base/error.hpp"
#include "cli/command.hpp"
#include "cli/output.hpp"
#include "cli/terminal.hpp"
#include "framework/columns/column.hpp"
#include "framework/plugin/plugin.hpp"
#include "report/run_text.hpp"
#include "report/table.hpp"

namespace evictlab::cli {
namespace {

constexpr std::string_view base_score_help = "for wrappers alone: the scores of the scorer that it wraps";

void print_columns() {
    std::size_t width = 0;
    for (const ColumnInfo& column : columns::all()) width = std::max(width, column.name.size());
    report::LabelledLines lines(terminal_width(STDOUT_FILENO), width + 2);
    for (const ColumnInfo& column : columns::all()) lines.say(column.name, column.help);
    lines.say(base_score_column, base_score_help);
    print(lines.take());
}

std::string_view values_text(ColumnKind kind) {
    switch (kind) {
    case ColumnKind::token:
        return "each token";
    case ColumnKind::row:
        return "each query";
    case ColumnKind::layer:
        return "each layer";
    }
    return "";
}

std::string_view needs_text(const ColumnInfo& column) {
    if (column.derive) return "what the column has that it is made of";
    switch (column.needs) {
    case ColumnNeeds::rows:
        return column.queries == ColumnQueries::none ? "any suite" : "any suite; attention";
    case ColumnNeeds::layer_rows:
        return "any suite; attention of all heads of the layer";
    case ColumnNeeds::query_rows:
        return "any suite; attention of each query head";
    case ColumnNeeds::tensors:
        return "captured suites, but for protocol rescore";
    case ColumnNeeds::wov_norm:
    case ColumnNeeds::wo_gram:
        return "captured suites with output projections, but for protocol rescore";
    case ColumnNeeds::calibration:
        return "captured suites with a calibration, but for protocol rescore";
    case ColumnNeeds::reconstruction:
        return "captured suites with second passes, protocol prefill";
    }
    return "";
}

/// docs/columns.md.
void print_columns_markdown() {
    report::Table table({{"column", report::CellKind::code}, {"what it is"}, {"a value for"}, {"needs"}});
    for (const ColumnInfo& column : columns::all())
        table.add({column.name, column.help, std::string(values_text(column.kind)), std::string(needs_text(column))});
    table.add({std::string(base_score_column), std::string(base_score_help), "each token", "a wrapper's base"});
    print(fmt::format(
        "# Columns\n\nWhat a scorer may ask for of each cached token, and a formula may read. Parameters follow the "
        "name after `:`.\nWritten by `evictlab plugins columns --format markdown`.\n\n{}",
        table.markdown()));
}

} // namespace

int list_columns(std::string_view format) {
    if (format == "text")
        print_columns();
    else if (format == "markdown")
        print_columns_markdown();
    else
        throw UsageError(fmt::format("--format {}: expected text or markdown", format));
    return exit_ok;
}

} // namespace evictlab::cli
