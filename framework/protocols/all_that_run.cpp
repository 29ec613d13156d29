// SPDX-License-Identifier: MIT
#include "framework/protocols/all_that_run.hpp"

#include "framework/protocols/protocol.hpp"

namespace evictlab {

std::vector<Scorer> all_that_run(PluginHost& host, const Suite& suite, std::string_view protocol) {
    std::vector<Scorer> scorers =
        protocol_info(protocol).rules == ScorerRules::seed ? all_scorers(host) : all_prefill_scorers(host);
    std::erase_if(scorers, [&](const Scorer& scorer) { return !refusal(scorer, suite, protocol).empty(); });
    return scorers;
}

} // namespace evictlab
