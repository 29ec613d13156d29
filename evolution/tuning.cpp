// The only file that includes pagmo, which takes long to compile.
// SPDX-License-Identifier: MIT
#include "evolution/tuning.hpp"

#include <algorithm>
#include <cmath>
#include <pagmo/algorithms/cmaes.hpp>
#include <pagmo/population.hpp>
#include <pagmo/problem.hpp>

#include "evolution/variation/expression.hpp"

namespace evictlab::evolution {
namespace {

/// What the copies that pagmo makes of the problem share. CMA-ES may lose its best point; this keeps it.
struct Search {
    const Objective* objective = nullptr;
    std::vector<double> start, scale;
    TuningResult best;
    std::size_t limit = 0;

    double visit(const pagmo::vector_double& offsets) {
        std::vector<double> values(start.size());
        for (std::size_t i = 0; i < values.size(); ++i) values[i] = tidy(start[i] + scale[i] * offsets[i]);
        ++best.evaluations;
        const double error = (*objective)(values);
        if (error < best.error) {
            best.error = error;
            best.values = std::move(values);
        }
        return error;
    }
};

/// The problem in pagmo's words: offsets from the start, in units of each constant's size.
struct ConstantsProblem {
    Search* search = nullptr;
    std::size_t dimensions = 1;
    pagmo::vector_double fitness(const pagmo::vector_double& offsets) const { return {search->visit(offsets)}; }
    // pagmo takes the first step in parts of the box's width; the box is not enforced.
    std::pair<pagmo::vector_double, pagmo::vector_double> get_bounds() const {
        return {pagmo::vector_double(dimensions, -0.5), pagmo::vector_double(dimensions, 0.5)};
    }
};

} // namespace

TuningResult tune_constants(std::span<const double> start, double start_error, const TuningOptions& options,
                            const Objective& objective) {
    Search search;
    search.objective = &objective;
    search.start.assign(start.begin(), start.end());
    search.best = {search.start, start_error, 0};
    if (start.empty()) return search.best;
    for (const double value : start) search.scale.push_back(size_of(value));

    const std::size_t individuals =
        std::max<std::size_t>(6, 4 + static_cast<std::size_t>(3 * std::log(static_cast<double>(start.size()))));
    const auto generations = static_cast<unsigned>(std::max<std::size_t>(1, options.evaluations / individuals));
    const pagmo::problem problem(ConstantsProblem{&search, start.size()});
    pagmo::population population(problem, 0, options.seed);
    // CMA-ES begins at the best individual. The others are only there because it gives up where all are alike.
    population.push_back(pagmo::vector_double(start.size(), 0.0), {start_error});
    for (std::size_t i = 1; i < individuals; ++i)
        population.push_back(pagmo::vector_double(start.size(), 0.1), {start_error + 1});
    const pagmo::cmaes cmaes(generations, -1, -1, -1, -1, options.step, 1e-7, 1e-5, false, false, options.seed);
    cmaes.evolve(std::move(population));
    return search.best;
}

} // namespace evictlab::evolution
