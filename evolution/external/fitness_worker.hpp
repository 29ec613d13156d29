// One process that holds a part of a search's suites: started, asked, and started again where it was lost.
// SPDX-License-Identifier: MIT
#pragma once
#include <functional>
#include <memory>
#include <string>

#include "base/input/stop_signal.hpp"
#include "evolution/external/fitness_workers.hpp"
#include "evolution/external/json_process.hpp"

namespace evictlab::evolution {

/// For one thread at a time. Throws FitnessLost, or Interrupted, both of which end the process.
class FitnessWorker {
public:
    /// What is asked, but for its id, and what is made of the answer: a line at a time; true with the last.
    struct Question {
        Json request;
        std::function<void()> begin; ///< before the first line, also of a second try
        std::function<bool(const Json&)> take;
    };

    /// `hold` is the request after which it holds its part. The options must outlive it.
    FitnessWorker(const FitnessWorkerOptions& options, std::size_t number, Json hold);
    /// Throws Error where the process does not work from the beginning.
    void start();
    const Json& layouts() const { return layouts_; } ///< [suite]["train" or "valid"], once it was started
    void ask(const Question& question);

private:
    void begin();
    void exchange(const Question& question);
    Json receive(std::uint64_t id);
    void rest();
    [[noreturn]] void lose(const std::string& why);
    std::string name() const;

    const FitnessWorkerOptions& options_;
    std::size_t number_; ///< from 0, people from 1
    Json hold_, layouts_;
    StopSignal stop_;
    std::unique_ptr<JsonProcess> process_;
    std::uint64_t last_id_ = 0;
    unsigned losses_ = 0; ///< in a row
    std::string lost_;    ///< why it is asked no more; "" while it is
};

} // namespace evictlab::evolution
