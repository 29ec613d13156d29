// SPDX-License-Identifier: MIT
#include "isolation/trial.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <thread>

namespace evictlab::isolation {
namespace {

using namespace std::chrono_literals;

constexpr int most_hindered = 4; // in one trial; the first worker may have been hit alone, as a stray
constexpr int most_attempts = 8;
constexpr auto pause_after_hindrance = 100ms;
// Whoever kills several processes kills one after the other; crashes are mostly the plugin's, and there may be many.
constexpr auto patience_with_witness = 100ms, patience_after_crash = 20ms;

bool comes_from_others(Ending ending) { return ending == Ending::killed || ending == Ending::stopped; }

} // namespace

Trial::Trial(WorkerPool& pool) : pool_(pool) {}

void Trial::begin() {
    witness_.reset();
    witnessed_ = false;
    try {
        witness_ = pool_.make();
        witnessed_ = true;
    } catch (const Error&) { // tells rule() that processes are hard to come by
    }
}

bool Trial::was_hindered(const Answer& answer) {
    if (answer.ending == Ending::unborn || answer.ending == Ending::starved) {
        hindrance_ = answer.cause;
        if (answer.ending == Ending::unborn) pool_.make_room();
        return true;
    }
    if (!comes_from_others(answer.ending) && answer.ending != Ending::crash) return false;
    if (pool_.memory_ran_out()) {
        hindrance_ = answer.cause + "; the kernel kills processes for want of memory";
        return true;
    }
    if (pool_.end_hogs(false)) {
        hindrance_ = answer.cause + "; another plugin had too many threads";
        return true;
    }
    if (attempts_ == 1) return false; // nothing was beside it
    const auto patience = comes_from_others(answer.ending) ? patience_with_witness : patience_after_crash;
    for (auto waited = 0ms; witnessed_ && !witness_->was_hit() && waited < patience; waited += 10ms)
        std::this_thread::sleep_for(10ms);
    if (witnessed_ && !witness_->was_hit()) return false;
    hindrance_ = answer.cause + (witnessed_ ? "; so was a process beside it that runs no plugin"
                                            : "; and no process can be started beside it");
    return true;
}

Trial::Ruling Trial::rule(const Answer& answer) {
    if (answer.ending == Ending::own) return Ruling::guilty;
    ++attempts_;
    if (was_hindered(answer)) {
        if (++hindered_ == most_hindered) return Ruling::outside;
        std::this_thread::sleep_for(hindered_ * pause_after_hindrance);
        return Ruling::ask_again;
    }
    // A signal that others send, as a rule, counts only where a process beside was left alone.
    if (comes_from_others(answer.ending) && attempts_ == 1) return Ruling::ask_again;
    deeds_.push_back(answer.phase + answer.cause);
    const bool again = std::ranges::count(deeds_, deeds_.back()) == 2;
    return again || attempts_ >= most_attempts ? Ruling::guilty : Ruling::ask_again;
}

} // namespace evictlab::isolation
