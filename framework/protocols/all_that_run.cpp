// SPDX-License-Identifier: MIT
#include "framework/protocols/all_that_run.hpp"

#include "framework/protocols/protocol.hpp"

namespace evictlab {

namespace {

std::vector<Scorer> all_of(PluginHost& host, std::string_view protocol) {
    return protocol_info(protocol).rules == ScorerRules::seed ? all_scorers(host) : all_prefill_scorers(host);
}

} // namespace

std::vector<Scorer> all_that_run(PluginHost& host, const Suite& suite, std::string_view protocol, const Shape& shape) {
    std::vector<Scorer> scorers = all_of(host, protocol);
    std::erase_if(scorers, [&](const Scorer& scorer) { return !refusal(scorer, suite, protocol, shape).empty(); });
    return scorers;
}

std::vector<std::string> all_that_lack_calibration(PluginHost& host, const Suite& suite, std::string_view protocol) {
    std::vector<std::string> labels;
    if (!suite.captured()) return labels;
    for (const Scorer& scorer : all_of(host, protocol))
        if (scorer.reads_calibration() && !refusal(scorer, suite, protocol).empty()) labels.push_back(scorer.label());
    return labels;
}

} // namespace evictlab
