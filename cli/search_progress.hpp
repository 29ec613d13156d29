// How a search gets on, on standard error: what the last generation was, and how far the run is. A generation may take
// minutes where a model judges it, so the bar moves, and plain lines come, between generations too.
// SPDX-License-Identifier: MIT
#pragma once
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "cli/progress.hpp"
#include "evolution/run.hpp"
#include "report/run_text.hpp"

namespace evictlab::cli {

class SearchProgress {
public:
    /// `standing`: what does not change while the run goes on. `quiet`: new champions are not told.
    SearchProgress(const std::string& suite, report::Standing standing, bool quiet);

    /// After a generation, on any thread.
    void show(const evolution::RunProgress& progress);

private:
    using Clock = std::chrono::steady_clock;
    struct Shown {
        Clock::time_point at = Clock::now();
        double seconds = 0, fraction = 0; ///< of the run when it was shown
        std::string note = "generation 0 is being made";
        std::vector<std::string> block;
    };

    void tick(const std::stop_token& ended);
    void draw_between();

    ProgressBar bar_;
    report::Standing standing_;
    bool quiet_;
    report::Glyphs glyphs_;
    std::mutex mutex_;
    std::condition_variable_any wake_;
    Shown shown_;
    std::jthread ticker_; ///< the last member: it ends before what it uses
};

} // namespace evictlab::cli
