// SPDX-License-Identifier: MIT
#include "framework/evaluation/relative_fitness.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "framework/error.hpp"

namespace evictlab {
namespace {

void check_part(const FitnessPart& part) {
    for (const auto& errors : part.reference) {
        if (errors.size() != part.fitness->retentions().size())
            throw Error(fmt::format("suite '{}': {} reference errors for {} retentions", part.suite, errors.size(),
                                    part.fitness->retentions().size()));
        for (const double error : errors)
            if (!(error > 0))
                throw Error(fmt::format("suite '{}': the best published row has the error {}, to which no other can "
                                        "be compared; leave out retention 1",
                                        part.suite, error));
    }
}

} // namespace

RelativeFitness::RelativeFitness(std::vector<FitnessPart> parts) : parts_(std::move(parts)) {
    const auto first = parts_.at(0).fitness->columns();
    columns_.assign(first.begin(), first.end());
    std::ranges::sort(columns_);
    for (const FitnessPart& part : parts_) {
        check_part(part);
        std::ranges::copy(part.fitness->retentions(), std::back_inserter(retentions_));
        std::erase_if(columns_, [&](ColumnId id) { return std::ranges::count(part.fitness->columns(), id) == 0; });
    }
}

std::vector<FormulaErrors> RelativeFitness::evaluate(SearchSplit split, std::span<const FitnessJob> jobs) const {
    std::vector<FormulaErrors> out(jobs.size());
    for (const FitnessPart& part : parts_) {
        const auto errors = part.fitness->evaluate(split, jobs);
        const std::vector<double>& reference = part.reference[static_cast<std::size_t>(split)];
        const double share = 1 / static_cast<double>(reference.size() * parts_.size());
        for (std::size_t j = 0; j < jobs.size(); ++j)
            for (std::size_t r = 0; r < reference.size(); ++r) {
                out[j].by_retention.push_back(errors[j].by_retention[r] / reference[r]);
                out[j].average += out[j].by_retention.back() * share;
            }
    }
    return out;
}

std::size_t RelativeFitness::work(SearchSplit split) const {
    std::size_t work = 0;
    for (const FitnessPart& part : parts_) work += part.fitness->work(split);
    return work;
}

} // namespace evictlab
