// SPDX-License-Identifier: MIT
#include "report/cells.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/text/quoting.hpp"
#include "framework/damage/measure.hpp"
#include "report/bench_json.hpp"

namespace evictlab::report {

std::string measure_title(std::string_view measure) {
    std::string title(measure);
    std::replace(title.begin(), title.end(), '_', ' ');
    return title;
}

std::string_view measure_meaning(std::string_view measure) {
    if (measure == to_string(Measure::output_error))
        return "squared change of the attention block's output over the output's square";
    if (measure == to_string(Measure::predicted_kl))
        return "KL divergence that the changes of all layers' outputs foretell to second order";
    return "share of the attention that lies on evicted tokens";
}

std::string percent(const std::optional<double>& share, int decimals) {
    if (!share || !std::isfinite(100 * *share)) return "n/a";
    return std::abs(*share) < 1e6 ? fmt::format("{:+.{}f} %", 100 * *share, decimals)
                                  : fmt::format("{:+.{}e} %", 100 * *share, decimals);
}

std::string estimate_text(const Estimate& estimate, int decimals, bool sign) {
    const auto number = [&](double value) {
        return sign ? fmt::format("{:+.{}f}", value, decimals) : fmt::format("{:.{}f}", value, decimals);
    };
    if (!std::isfinite(estimate.value)) return "n/a";
    if (!estimate.interval) return number(estimate.value);
    return fmt::format("{} [{}, {}]", number(estimate.value), number(estimate.interval->low),
                       number(estimate.interval->high));
}

std::string retention_used_text(std::span<const double> asked, std::span<const double> used) {
    std::string text;
    for (std::size_t r = 0; r < used.size(); ++r)
        if (std::abs(used[r] - asked[r]) >= same_retention)
            text += fmt::format("{}{}: {:.3f}", text.empty() ? "" : ", ", retention_key(asked[r]), used[r]);
    return text;
}

std::string counted(std::size_t count, std::string_view what) {
    return fmt::format("{} {}{}", count, what, count == 1 ? "" : "s");
}

std::string document_count(std::size_t documents) { return counted(documents, "document"); }

std::string uncertainty_note(std::size_t documents, std::string_view win) {
    if (documents < 2) return "One document says nothing about others: there are no intervals.";
    std::string text =
        fmt::format("In brackets: 95 % intervals of a paired bootstrap over the {}. ", document_count(documents));
    if (documents < documents_for_a_claim)
        return text + fmt::format("Fewer than {} are too few to call anything a win.", documents_for_a_claim);
    return text + fmt::format("\"win\": {}.", win);
}

std::string folded(std::string_view summary, std::string_view markdown) {
    return fmt::format("<details><summary>{}</summary>\n\n{}\n</details>\n", text::html(summary), markdown);
}

} // namespace evictlab::report
