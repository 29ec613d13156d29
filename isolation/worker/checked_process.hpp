// The process in which a test of conformance/ runs.
// SPDX-License-Identifier: MIT
#pragma once
#include "conformance/test.hpp"
#include "isolation/control.hpp"
#include "isolation/worker/crash_notes.hpp"
#include "isolation/worker/environment.hpp"
#include "isolation/worker/guarded_scores.hpp"

namespace evictlab::isolation {

class CheckedProcess final : public conformance::Process {
public:
    CheckedProcess(Control& control, Mapped& memory, GuardedScores& scores)
        : control_(control), memory_(memory), scores_(scores) {}

    void calling() override { control_.calls.fetch_add(1, std::memory_order_relaxed); }
    std::span<double> scores(std::size_t count) override { return scores_.take(count); }
    bool is_unwritten(double score) const override { return is_marked(score); }
    bool wrote_before_scores() const override { return !scores_.begins_intact(); }
    std::string changed() override { return environment_.restore(); }
    void forbid(std::span<const std::byte> pages) override { memory_.undeclared = pages; }

private:
    Control& control_;
    Mapped& memory_;
    GuardedScores& scores_;
    Environment environment_;
};

} // namespace evictlab::isolation
