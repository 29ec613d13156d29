// Progress of long work on standard error: a bar with the time left on a terminal, now and then a line elsewhere.
// SPDX-License-Identifier: MIT
#pragma once
#include <chrono>
#include <mutex>
#include <string>

namespace evictlab::cli {

/// Thread-safe.
class ProgressBar {
public:
    explicit ProgressBar(std::string label);
    ~ProgressBar(); ///< leaves the cursor at the start of a clear line
    ProgressBar(const ProgressBar&) = delete;
    ProgressBar& operator=(const ProgressBar&) = delete;

    /// `fraction` of the work in [0, 1]; `note` is shown behind it.
    void update(double fraction, const std::string& note = {});
    /// Prints a line that stays.
    void say(const std::string& line);

private:
    using Clock = std::chrono::steady_clock;
    void clear_bar();
    void draw_bar(double fraction, double seconds, const std::string& note);
    void print_line(double fraction, double seconds, const std::string& note);

    std::mutex mutex_;
    std::string label_;
    bool terminal_;
    Clock::time_point begin_, last_;
    double last_fraction_ = 0;
    std::size_t drawn_ = 0; ///< columns of the bar on the screen
};

} // namespace evictlab::cli
