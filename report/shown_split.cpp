// SPDX-License-Identifier: MIT
#include "report/shown_split.hpp"

#include <fmt/format.h>

#include <array>
#include <limits>

#include "base/error.hpp"
#include "base/text/shown.hpp"

namespace evictlab::report {
namespace {

constexpr std::array for_later{Split::valid, Split::test, Split::test_other_model}; // than train, in that order

std::size_t index(Split split) { return static_cast<std::size_t>(split); }

void hide(SplitErrors& errors) { errors = {{}, std::numeric_limits<double>::quiet_NaN(), {}}; }

void hide(Bench& bench, Split split) {
    bench.traces[index(split)].clear();
    bench.allowed[index(split)].clear();
    for (ScorecardRow& row : bench.rows) {
        hide(row.splits[index(split)]);
        for (auto& splits : row.more_splits) hide(splits[index(split)]);
        row.retention_used[index(split)].clear();
        row.continuation_kept[index(split)].clear();
        row.course[index(split)] = {};
    }
}

} // namespace

Split parse_shown_split(std::string_view name) {
    for (const Split split : generated_splits)
        if (name == to_string(split)) return split;
    throw UsageError(fmt::format("--split is {}, but must be train, valid or test", text::named(name)));
}

Split usual_split(const BySplit<std::vector<TraceLabel>>& traces) {
    for (const Split split : {Split::valid, Split::test, Split::test_other_model})
        if (!traces[index(split)].empty()) return is_test(split) ? Split::test : split;
    return Split::train;
}

Bench shown_by(Bench bench, Split split) {
    const bool other = split == Split::test && !bench.traces[index(Split::test_other_model)].empty();
    if (bench.traces[index(split)].empty() && !other)
        throw UsageError(fmt::format("--split is {}, but the suite {} has no {} traces; it has some in {}",
                                     to_string(split), text::line(bench.suite), to_string(split),
                                     to_string(usual_split(bench.traces))));
    for (const Split later : for_later)
        if (split != Split::test && later > split) hide(bench, later);
    return bench;
}

} // namespace evictlab::report
