// SPDX-License-Identifier: MIT
#include "framework/protocols/protocol.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "framework/capture/captured_suite.hpp"
#include "framework/protocols/decode.hpp"
#include "framework/protocols/names.hpp"
#include "framework/protocols/prefill.hpp"
#include "framework/protocols/rescore.hpp"

namespace evictlab {
namespace {

bool reads_token_type(ColumnId id) {
    for (auto at = std::optional(id); at; at = columns::base(*at))
        if (columns::name(*at) == "token_type") return true;
    return false;
}

std::string missing_column(ColumnId id, const Suite& suite, std::string_view protocol) {
    std::string_view why;
    switch (columns::needs(id)) {
    case ColumnNeeds::rows:
    case ColumnNeeds::layer_rows:
    case ColumnNeeds::query_rows:
        if (!suite.has_token_types() && reads_token_type(id))
            why = "some trace of it has no tensor token_type; capture the suite with it";
        break;
    case ColumnNeeds::tensors:
        if (!suite.captured())
            why = "it is computed from queries, keys and values, which only captured suites have";
        else if (protocol == "rescore")
            why = "it is computed from queries, keys and values, which the protocol rescore does not give";
        break;
    case ColumnNeeds::wov_norm:
        if (!suite.captured() || protocol == "rescore" || !suite.has_wov_norms())
            why = "it needs the norms of values behind the output projection, or that projection in model.safetensors";
        break;
    }
    if (why.empty()) return "";
    return fmt::format("asks for the column '{}', which suite {} by protocol {} does not give: {}", columns::name(id),
                       suite.name(), protocol, why);
}

} // namespace

std::vector<ColumnId> columns_of(std::span<const Scorer> scorers) {
    std::vector<ColumnId> ids;
    for (const Scorer& scorer : scorers) ids.insert(ids.end(), scorer.columns().begin(), scorer.columns().end());
    std::ranges::sort(ids);
    ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
    return ids;
}

std::string_view usual_protocol(const Suite& suite) { return suite.captured() ? "prefill" : "rescore"; }

std::vector<double> usual_retentions(std::string_view protocol) {
    if (protocol == "rescore") return {0.25, 0.5, 0.75};
    return {0.1, 0.25, 0.5, 0.75};
}

void check_protocol(std::string_view protocol, const Suite& suite) {
    if (std::ranges::find(protocol_names, protocol) == protocol_names.end())
        throw UsageError(fmt::format("unknown protocol '{}'; there are {}", protocol, fmt::join(protocol_names, ", ")));
    if (protocol != "rescore" && !suite.captured())
        throw UsageError(
            fmt::format("suite '{}' cannot be run by protocol {}: it is synthetic, and has no queries, keys "
                        "and values; use rescore, or a captured suite",
                        suite.name(), protocol));
}

std::string refusal(const Scorer& scorer, const Suite& suite, std::string_view protocol) {
    for (const ColumnId id : scorer.columns())
        if (std::string missing = missing_column(id, suite, protocol); !missing.empty()) return missing;
    if (protocol == "rescore") return refusal_by_rescore(scorer);
    if (protocol != "decode") return "";
    if (scorer.allocates())
        return "keeps different numbers of tokens by layer or head, which the fixed capacity of the protocol decode "
               "does "
               "not allow; it runs under prefill";
    if (scorer.wants_tensors())
        return "reads the queries, keys and values of the whole prompt, which the protocol decode no longer has; it "
               "runs "
               "under prefill";
    return "";
}

std::unique_ptr<Protocol> make_protocol(std::string_view name, const Suite& suite, std::span<const Scorer> scorers,
                                        std::span<const double> retentions, std::size_t interval,
                                        std::string_view only) {
    check_protocol(name, suite);
    for (const Scorer& scorer : scorers)
        if (const std::string why = refusal(scorer, suite, name); !why.empty())
            throw UsageError(fmt::format("scorer '{}' {}", scorer.label(), why));
    if (name == "rescore") return std::make_unique<LayerJudge>(scorers, retentions);
    const auto wanted = [&](std::string_view measure) { return only.empty() || only == measure; };
    const CapturedMeasures measured{suite.has_output_projections() && wanted("output_error"),
                                    suite.has_sensitivities() && wanted(responses_measure)};
    if (name == "decode") return std::make_unique<DecodeJudge>(scorers, retentions, measured, interval);
    return std::make_unique<PrefillJudge>(scorers, retentions, measured);
}

} // namespace evictlab
