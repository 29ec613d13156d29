// The worker's side of protocol evictlab-fitness/1: holds some documents of a search's suites, and measures formulas on
// them. SPDX-License-Identifier: MIT
#pragma once
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "evolution/external/fitness_protocol.hpp"
#include "framework/suite/suite.hpp"

namespace evictlab::evolution {

/// For one thread; measures in parallel with TBB inside.
class FitnessServer {
public:
    /// `suites` are those that are named on this machine; where there are none, a request's are looked for where they
    /// are on the machine that asks.
    FitnessServer(std::vector<Suite> suites, std::string version, std::function<void(const Json&)> answer);
    ~FitnessServer();
    /// The first line.
    Json introduction() const;
    /// Answers a line, also one that is no request, which is an "error".
    void take(std::string_view line);

private:
    struct Held;
    void take_request(const JsonField& request);
    void hold(const JsonField& request);
    Suite suite_of(const HeldPart& part) const;
    void measure(const JsonField& request);
    void hash_kept(const JsonField& request);
    const Held& held(const JsonField& request) const;
    const formula::Program& program_of(const JsonField& job, const HeldFitness& fitness);

    std::vector<Suite> suites_;
    std::string version_;
    std::function<void(const Json&)> answer_;
    std::vector<Held> held_;
    std::map<std::string, formula::Program, std::less<>> programs_; ///< by text; a tuner asks about one many times
};

} // namespace evictlab::evolution
