// SPDX-License-Identifier: MIT
#pragma once
#include <chrono>

namespace evictlab {

/// Measures pieces of work that follow each other, in seconds of wall time.
class Stopwatch {
public:
    /// Since it was made, or since the last lap.
    double lap() {
        const auto now = std::chrono::steady_clock::now();
        const std::chrono::duration<double> passed = now - last_;
        last_ = now;
        return passed.count();
    }

private:
    std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
};

} // namespace evictlab
