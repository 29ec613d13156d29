// SPDX-License-Identifier: MIT
#include "report/row_cost.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "framework/protocols/protocol.hpp"
#include "report/bench_json.hpp"

namespace evictlab::report {

Json to_json(const ScoringCost& cost) {
    return {{"microseconds", cost.microseconds}, {"measured_on", cost.measured_on}};
}

ScoringCost read_cost(const JsonField& field) {
    ScoringCost cost;
    cost.microseconds = field.member("microseconds").number_between(0, 1e12);
    cost.measured_on = field.member("measured_on").text();
    return cost;
}

std::string cost_text(const ScorecardRow& row) {
    if (!row.cost) return "";
    return row.cost->microseconds < 999.5 ? fmt::format("{:.3g}", row.cost->microseconds)
                                          : fmt::format("{:.0f}", row.cost->microseconds); // no 1.21e+03
}

std::vector<std::string> places_of(std::span<const ScorecardRow> rows) {
    std::vector<std::string> places;
    for (const ScorecardRow& row : rows)
        if (row.cost && std::ranges::find(places, row.cost->measured_on) == places.end())
            places.push_back(row.cost->measured_on);
    return places;
}

std::string cost_note(std::span<const std::string> places, std::string_view protocol, double kv_bytes,
                      std::span<const double> retentions, const std::function<std::string(std::string_view)>& quote) {
    std::string text;
    if (!places.empty()) {
        std::vector<std::string> quoted;
        for (const std::string& place : places) quoted.push_back(quote(place));
        text = fmt::format("us: microseconds of scoring {}, a token and layer, with the attention and the columns that "
                           "the row reads; by the clock, on {}.",
                           protocol == "decode" ? "while decoding" : "a prompt", fmt::join(quoted, "; "));
    }
    if (kv_bytes <= 0) return text;
    if (const ProtocolInfo* info = find_protocol(protocol); places.empty() && info && !info->measures_time)
        text = fmt::format("What scoring takes is not measured under {}.", protocol);
    text += fmt::format("{}KV cache, bytes a token of the text and layer: {:.6g}", text.empty() ? "" : " ", kv_bytes);
    for (const double retention : retentions)
        text += fmt::format(", at {} {:.6g}", retention_key(retention), retention * kv_bytes);
    return text + ".";
}

} // namespace evictlab::report
