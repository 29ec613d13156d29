// SPDX-License-Identifier: MIT
#include "evolution/batch.hpp"

#include <tbb/parallel_for.h>

#include <algorithm>
#include <optional>

namespace evictlab::evolution {
namespace {

/// Tokens in one call of the evaluator: some tens of milliseconds on one core.
constexpr std::size_t tokens_a_call = 8'000'000;

} // namespace

void StopSignal::check() const {
    if (asked() || late()) throw Abandoned{};
}

std::vector<FormulaErrors> evaluate_all(const Fitness& fitness, SearchSplit split,
                                        std::span<const formula::Formula* const> formulas, const StopSignal& stop) {
    std::vector<std::optional<formula::Program>> programs(formulas.size());
    tbb::parallel_for(std::size_t{0}, formulas.size(), [&](std::size_t i) { programs[i].emplace(*formulas[i]); });
    std::vector<FitnessJob> jobs;
    jobs.reserve(programs.size());
    for (const auto& program : programs) jobs.push_back({&*program, program->constants()});

    const std::size_t piece = std::max<std::size_t>(1, tokens_a_call / std::max<std::size_t>(1, fitness.work(split)));
    std::vector<FormulaErrors> errors;
    errors.reserve(jobs.size());
    for (std::size_t begin = 0; begin < jobs.size(); begin += piece) {
        stop.check();
        const auto part = std::span(jobs).subspan(begin, std::min(piece, jobs.size() - begin));
        for (auto& result : fitness.evaluate(split, part)) errors.push_back(std::move(result));
    }
    return errors;
}

} // namespace evictlab::evolution
