// SPDX-License-Identifier: MIT
#include "evolution/batch.hpp"

#include <algorithm>

namespace evictlab::evolution {
namespace {

/// Tokens in one call of the evaluator: some tens of milliseconds on one core.
constexpr std::size_t tokens_a_call = 8'000'000;

} // namespace

void for_each_piece(const Fitness& fitness, SearchSplit split, std::span<const FitnessJob> jobs, const StopSignal& stop,
                    const std::function<void(std::span<const FitnessJob>)>& measure) {
    const std::size_t piece = std::max<std::size_t>(1, tokens_a_call / std::max<std::size_t>(1, fitness.work(split)));
    for (std::size_t begin = 0; begin < jobs.size(); begin += piece) {
        stop.check();
        measure(jobs.subspan(begin, std::min(piece, jobs.size() - begin)));
    }
}

std::vector<FormulaErrors> evaluate_all(const Fitness& fitness, SearchSplit split, std::span<const Genome> genomes,
                                        const StopSignal& stop) {
    const std::vector<FitnessJob> all = jobs_of(genomes);
    std::vector<FormulaErrors> errors;
    errors.reserve(all.size());
    for_each_piece(fitness, split, all, stop, [&](std::span<const FitnessJob> jobs) {
        for (auto& result : fitness.evaluate(split, jobs)) errors.push_back(std::move(result));
    });
    return errors;
}

} // namespace evictlab::evolution
