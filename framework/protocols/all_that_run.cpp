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

std::vector<LackingScorers> left_out_of_all(PluginHost& host, const Suite& suite, std::string_view protocol) {
    if (!suite.captured()) return {};
    LackingScorers calibration{{},
                               suite.calibration() ? suite.uncalibrated() : "the suite has no calibration",
                               "See `evictlab-calibrate --help`."};
    if (calibration.why.empty()) calibration.why = "the suite's calibration lacks what they read";
    LackingScorers second_pass{{},
                               "some trace of the suite lacks its second pass",
                               "`evictlab-capture MODEL --reconstruct --out FOLDER` adds it."};
    const bool lacks_pass = protocol_info(protocol).gives_second_pass && !suite.has_reconstructions();
    for (const Scorer& scorer : all_of(host, protocol)) {
        if (lacks_pass && class_of(scorer).passes > 1)
            second_pass.labels.push_back(scorer.label());
        else if (scorer.reads_calibration() && protocol_info(protocol).refuses(scorer).empty() &&
                 !refusal(scorer, suite, protocol).empty())
            calibration.labels.push_back(scorer.label());
    }
    std::vector<LackingScorers> lacking;
    for (LackingScorers* each : {&calibration, &second_pass})
        if (!each->labels.empty()) lacking.push_back(std::move(*each));
    return lacking;
}

} // namespace evictlab
