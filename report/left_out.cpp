// SPDX-License-Identifier: MIT
#include "report/left_out.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "base/text/quoting.hpp"
#include "report/cells.hpp"
#include "report/ranking.hpp"

namespace evictlab::report {
namespace {

/// Of those that are counted, in their order.
void take_mean(SplitErrors& errors, const std::vector<TraceLabel>& labels) {
    if (errors.by_trace.size() != labels.size()) return;
    std::vector<std::vector<double>> counted;
    for (std::size_t i = 0; i < labels.size(); ++i)
        if (labels[i].left_out.empty()) counted.push_back(std::move(errors.by_trace[i]));
    errors.by_trace = std::move(counted);
    std::ranges::fill(errors.by_retention, 0.0);
    for (const auto& trace : errors.by_trace)
        for (std::size_t r = 0; r < trace.size(); ++r) errors.by_retention[r] += trace[r];
    for (double& error : errors.by_retention) error /= static_cast<double>(errors.by_trace.size());
    errors.average = std::accumulate(errors.by_retention.begin(), errors.by_retention.end(), 0.0) /
                     static_cast<double>(errors.by_retention.size());
}

} // namespace

LeftOut leave_out(Bench& bench) {
    LeftOut out;
    const auto is_marked = [](const TraceLabel& label) { return !label.left_out.empty(); };
    std::vector<Split> judges{Split::test, Split::test_other_model};
    if (const Split judging = judging_split(bench.traces); !is_test(judging)) judges.push_back(judging);
    for (const Split split : judges) {
        const auto s = static_cast<std::size_t>(split);
        std::vector<TraceLabel>& labels = bench.traces[s];
        if (std::ranges::none_of(labels, is_marked)) continue;
        std::ranges::copy_if(labels, std::back_inserter(out.documents), is_marked);
        if (std::ranges::all_of(labels, is_marked)) {
            out.nothing_left = true;
            continue;
        }
        for (ScorecardRow& row : bench.rows) {
            take_mean(row.splits[s], labels);
            for (auto& splits : row.more_splits) take_mean(splits[s], labels);
        }
        std::erase_if(labels, is_marked);
    }
    return out;
}

std::string left_out_note(const std::vector<TraceLabel>& documents, bool nothing_left, LeftOutNames names) {
    if (documents.empty()) return "";
    std::string list;
    for (const TraceLabel& document : documents)
        if (names == LeftOutNames::told)
            list += fmt::format("{}{} ({})", list.empty() ? ": " : ", ", text::markdown_code(document.name),
                                text::markdown(document.left_out));
    if (nothing_left)
        return fmt::format("The model cannot do these documents by itself, so figures on them carry no claim{}.", list);
    return fmt::format("{} left out of all means, for the model cannot do {} by itself{}.",
                       document_count(documents.size()), documents.size() == 1 ? "it" : "them", list);
}

} // namespace evictlab::report
