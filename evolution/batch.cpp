// SPDX-License-Identifier: MIT
#include "evolution/batch.hpp"

#include <tbb/parallel_for.h>

#include <algorithm>

namespace evictlab::evolution {
namespace {

/// Tokens in one call of the evaluator: some tens of milliseconds on one core.
constexpr std::size_t tokens_a_call = 8'000'000;

} // namespace

void StopSignal::check() const {
    if (asked() || late()) throw Abandoned{};
}

Programs::Programs(std::span<const Measurable> measurables) : programs_(measurables.size()) {
    tbb::parallel_for(std::size_t{0}, measurables.size(), [&](std::size_t i) {
        if (measurables[i].formula) programs_[i].emplace(*measurables[i].formula);
    });
    for (std::size_t i = 0; i < programs_.size(); ++i)
        jobs_.push_back(programs_[i] ? FitnessJob{&*programs_[i], programs_[i]->constants()}
                                     : FitnessJob{nullptr, measurables[i].values});
}

void for_each_piece(const Fitness& fitness, SearchSplit split, std::span<const FitnessJob> jobs, const StopSignal& stop,
                    const std::function<void(std::span<const FitnessJob>)>& measure) {
    const std::size_t piece = std::max<std::size_t>(1, tokens_a_call / std::max<std::size_t>(1, fitness.work(split)));
    for (std::size_t begin = 0; begin < jobs.size(); begin += piece) {
        stop.check();
        measure(jobs.subspan(begin, std::min(piece, jobs.size() - begin)));
    }
}

std::vector<FormulaErrors> evaluate_all(const Fitness& fitness, SearchSplit split,
                                        std::span<const Measurable> measurables, const StopSignal& stop) {
    const Programs programs(measurables);
    std::vector<FormulaErrors> errors;
    errors.reserve(measurables.size());
    for_each_piece(fitness, split, programs.jobs(), stop, [&](std::span<const FitnessJob> jobs) {
        for (auto& result : fitness.evaluate(split, jobs)) errors.push_back(std::move(result));
    });
    return errors;
}

} // namespace evictlab::evolution
