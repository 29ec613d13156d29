// Progress of long work on standard error: on a terminal a bar with the time left, and lines below it if you like;
// elsewhere a line now and then. No mode of the terminal is changed, and the cursor always stands on a clear line, so
// that a process that is killed leaves nothing to mend.
// SPDX-License-Identifier: MIT
#pragma once
#include <chrono>
#include <mutex>
#include <string>
#include <vector>

namespace evictlab::cli {

/// Thread-safe.
class ProgressBar {
public:
    explicit ProgressBar(std::string label);
    ~ProgressBar(); ///< takes what is drawn away
    ProgressBar(const ProgressBar&) = delete;
    ProgressBar& operator=(const ProgressBar&) = delete;

    /// `fraction` of the work in [0, 1]. `note` is shown behind it; where there are lines to show below the bar, on a
    /// terminal they are, and not the note.
    void update(double fraction, const std::string& note = {}, const std::vector<std::string>& below = {});
    /// Prints a line that stays.
    void say(const std::string& line);

private:
    using Clock = std::chrono::steady_clock;
    void clear();
    void draw(double fraction, double seconds, const std::string& note, const std::vector<std::string>& below);
    void print_line(double fraction, double seconds, const std::string& note);

    std::mutex mutex_;
    std::string label_;
    bool terminal_;
    Clock::time_point begin_, last_;
    double last_fraction_ = 0;
    std::size_t drawn_ = 0; ///< lines on the screen, the cursor being below them
};

} // namespace evictlab::cli
