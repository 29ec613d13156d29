// When work in flight is to be given up. One exception says that it was: Interrupted.
// SPDX-License-Identifier: MIT
#pragma once
#include <atomic>
#include <chrono>

#include "base/error.hpp"

namespace evictlab {

/// A flag set from outside, a moment, or both. Safe to share between threads once made.
class StopSignal {
public:
    using Clock = std::chrono::steady_clock;
    StopSignal() = default;
    explicit StopSignal(const std::atomic<bool>* flag) : flag_(flag) {}
    void set_deadline(Clock::time_point deadline) { deadline_ = deadline; }
    bool asked() const { return flag_ != nullptr && flag_->load(std::memory_order_relaxed); }
    bool late() const { return Clock::now() >= deadline_; }
    /// Throws Interrupted where it is time to.
    void check() const {
        if (asked()) throw Interrupted("stopped");
        if (late()) throw Interrupted("the time is over");
    }

private:
    const std::atomic<bool>* flag_ = nullptr;
    Clock::time_point deadline_ = Clock::time_point::max();
};

} // namespace evictlab
