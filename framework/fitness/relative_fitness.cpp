// SPDX-License-Identifier: MIT
#include "framework/fitness/relative_fitness.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "base/error.hpp"

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

void RelativeFitness::add(FormulaErrors& to, const FitnessPart& part, SearchSplit split, FormulaErrors errors) const {
    if (!to.failure.empty()) return;
    if (!errors.failure.empty()) {
        to = FormulaErrors{};
        to.failure = std::move(errors.failure);
        return;
    }
    const std::vector<double>& reference = part.reference[static_cast<std::size_t>(split)];
    const double share = 1 / static_cast<double>(reference.size() * parts_.size());
    for (std::size_t r = 0; r < reference.size(); ++r) {
        to.by_retention.push_back(errors.by_retention[r] / reference[r]);
        to.average += to.by_retention.back() * share;
    }
    for (auto& document : errors.by_document) {
        for (std::size_t r = 0; r < reference.size(); ++r) document[r] /= reference[r];
        to.by_document.push_back(std::move(document));
    }
}

std::vector<FormulaErrors> RelativeFitness::evaluate(SearchSplit split, std::span<const FitnessJob> jobs) const {
    std::vector<FormulaErrors> out(jobs.size());
    for (const FitnessPart& part : parts_) {
        auto errors = part.fitness->evaluate(split, jobs);
        for (std::size_t j = 0; j < jobs.size(); ++j) add(out[j], part, split, std::move(errors[j]));
    }
    return out;
}

std::vector<RaceResult> RelativeFitness::race(std::span<const FitnessJob> jobs, const StaysInRace& stays) const {
    std::vector<RaceResult> results = parts_.front().fitness->race(jobs, stays);
    std::vector<FitnessJob> left;
    std::vector<RaceResult*> finished;
    for (std::size_t j = 0; j < jobs.size(); ++j) {
        if (!results[j].finished) continue;
        left.push_back(jobs[j]);
        finished.push_back(&results[j]);
        FormulaErrors first;
        add(first, parts_.front(), SearchSplit::train, std::move(results[j].errors));
        results[j].errors = std::move(first);
    }
    for (const FitnessPart& part : std::span(parts_).subspan(1)) {
        auto errors = part.fitness->evaluate(SearchSplit::train, left);
        for (std::size_t j = 0; j < left.size(); ++j)
            add(finished[j]->errors, part, SearchSplit::train, std::move(errors[j]));
    }
    return results;
}

std::optional<std::uint64_t> RelativeFitness::kept_hash(const FitnessJob& job) const {
    std::uint64_t all = 0;
    for (const FitnessPart& part : parts_) {
        const auto one = part.fitness->kept_hash(job);
        if (!one) return std::nullopt;
        all = all * 0x9e3779b97f4a7c15U + *one;
    }
    return all;
}

std::size_t RelativeFitness::work(SearchSplit split) const {
    std::size_t work = 0;
    for (const FitnessPart& part : parts_) work += part.fitness->work(split);
    return work;
}

} // namespace evictlab
