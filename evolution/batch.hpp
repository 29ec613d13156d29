// Errors of whole batches of formulas, in pieces short enough that a stop is heeded well within a second.
// SPDX-License-Identifier: MIT
#pragma once
#include <atomic>
#include <chrono>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "framework/fitness/fitness.hpp"
#include "framework/formula/formula.hpp"

namespace evictlab::evolution {

/// When work in flight is to be abandoned: a flag set from outside, a moment, or both.
class StopSignal {
public:
    using Clock = std::chrono::steady_clock;
    StopSignal() = default;
    explicit StopSignal(const std::atomic<bool>* flag) : flag_(flag) {}
    void set_deadline(Clock::time_point deadline) { deadline_ = deadline; }
    bool asked() const { return flag_ != nullptr && flag_->load(std::memory_order_relaxed); }
    bool late() const { return Clock::now() >= deadline_; }
    /// Throws Abandoned where it is time to.
    void check() const;

private:
    const std::atomic<bool>* flag_ = nullptr;
    Clock::time_point deadline_ = Clock::time_point::max();
};

/// Thrown through the making of a generation, which is then made again on resume.
struct Abandoned {};

/// What is to be measured: a formula, or where there is none the values of a scorer's parameters.
struct Measurable {
    const formula::Formula* formula = nullptr;
    std::span<const double> values{};
};

/// Formulas compiled, each as a job with its own constants. Refers to nothing outside but values of parameters.
class Programs {
public:
    explicit Programs(std::span<const Measurable> measurables);
    std::span<const FitnessJob> jobs() const { return jobs_; }

private:
    std::vector<std::optional<formula::Program>> programs_;
    std::vector<FitnessJob> jobs_;
};

/// Calls `measure` with some jobs after the other, in order. Throws Abandoned.
void for_each_piece(const Fitness& fitness, SearchSplit split, std::span<const FitnessJob> jobs, const StopSignal& stop,
                    const std::function<void(std::span<const FitnessJob>)>& measure);

/// Errors of each, in order. Throws Abandoned.
std::vector<FormulaErrors> evaluate_all(const Fitness& fitness, SearchSplit split,
                                        std::span<const Measurable> measurables, const StopSignal& stop);

} // namespace evictlab::evolution
