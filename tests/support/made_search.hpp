// Searches made by hand: members and candidates whose errors are written down, and a fitness that is a rule on one
// number, what a formula gives for one made-up token. SPDX-License-Identifier: MIT
#pragma once
#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "evolution/run_state.hpp"
#include "framework/fitness/fitness.hpp"

namespace evictlab::test {

/// Errors at one retention, the same on all documents.
inline FormulaErrors made_error(double average) { return {{average}, average, {}, ""}; }

inline evolution::Genome made_genome(std::string_view text) {
    return evolution::Genome::canonical(formula::parse(text));
}
/// A parameter set that no space made.
inline evolution::Genome made_parameters(const std::string& scorer, std::vector<double> values, std::size_t changed) {
    return evolution::Genome::saved(evolution::ParameterSet{scorer, std::move(values), changed}, 0xff);
}

inline evolution::Member made_member(const std::string& text, double train, std::uint32_t island = 0) {
    evolution::Member made;
    made.genome = made_genome(text);
    made.id = text;
    made.train = made_error(train);
    made.island = island;
    made.skeleton = evolution::skeleton_of(made.genome);
    return made;
}

inline evolution::Candidate made_candidate(const std::string& id, const std::string& text, double train, double valid) {
    evolution::Candidate made;
    made.id = id;
    made.op = "by hand";
    made.hypothesis = "none";
    made.genome = made_genome(text);
    made.train = made_error(train);
    made.valid = made_error(valid);
    made.status = evolution::Status::accepted;
    made.reason = "made";
    return made;
}

/// A state with what its run has tried.
struct KnownState : evolution::RunState {
    evolution::Seen seen{};
};

inline std::vector<const evolution::Member*> pointers_to(const std::vector<evolution::Member>& members) {
    std::vector<const evolution::Member*> pointers;
    pointers.reserve(members.size());
    for (const auto& member : members) pointers.push_back(&member);
    return pointers;
}

template <class Members>
std::vector<std::string> ids_of(const Members& members) {
    std::vector<std::string> ids;
    for (const auto& member : members) ids.push_back(member.id);
    return ids;
}

/// What a formula of the seed's columns gives for the one token of a MadeFitness.
inline const std::map<std::string, double> made_token{
    {"position", 5}, {"relative_pos", 10}, {"sequence_len", 16}, {"cumulative_attn", 2}, {"recent_attn", 1},
    {"key_norm", 3}, {"layer_ratio", 0.5}, {"token_type", 0},    {"attn_entropy", 0.25}, {"is_sink", 0}};

/// A rule in the place of a measurement. It counts what it is asked.
class MadeFitness : public Fitness {
public:
    using Errors = std::function<FormulaErrors(SearchSplit, double score)>;
    /// Of a heat, by the score; a formula's errors are those of the rule in any case.
    using Figures = std::function<std::vector<double>(std::size_t heat, double score)>;

    explicit MadeFitness(Errors errors) : errors_(std::move(errors)) {
        for (const auto& [name, value] : made_token) columns_.push_back(columns::intern(name));
    }
    /// Errors are the distance of the score to a goal, the same on both splits.
    static MadeFitness to_goal(double goal) {
        return MadeFitness(
            [goal](SearchSplit, double score) { return made_error(std::min(1e3, std::abs(score - goal))); });
    }

    std::vector<std::string> heat_names{};
    Figures figures{};
    std::function<std::optional<std::uint64_t>(double score)> hash{};
    std::vector<double> at{0.5};
    std::size_t work_of_one = 1;
    mutable std::atomic<std::size_t> measured{0}; ///< jobs measured in full

    MadeFitness(const MadeFitness& other)
        : heat_names(other.heat_names), figures(other.figures), hash(other.hash), at(other.at),
          work_of_one(other.work_of_one), errors_(other.errors_), columns_(other.columns_) {}

    std::vector<FormulaErrors> evaluate(SearchSplit split, std::span<const FitnessJob> jobs) const override {
        std::vector<FormulaErrors> all;
        for (const FitnessJob& job : jobs) all.push_back(errors_(split, score(job)));
        measured += jobs.size();
        return all;
    }
    std::vector<std::string> heats() const override { return heat_names; }
    std::vector<RaceResult> race(std::span<const FitnessJob> jobs, const StaysInRace& stays) const override {
        std::vector<RaceResult> results(jobs.size());
        for (std::size_t heat = 0; heat < heat_names.size(); ++heat)
            for (std::size_t i = 0; i < jobs.size(); ++i) {
                if (!results[i].finished || stays(heat, i, figures(heat, score(jobs[i])))) continue;
                results[i].finished = false;
                results[i].left_in = heat;
            }
        for (std::size_t i = 0; i < jobs.size(); ++i)
            if (results[i].finished) {
                results[i].errors = errors_(SearchSplit::train, score(jobs[i]));
                ++measured;
            }
        return results;
    }
    std::optional<std::uint64_t> kept_hash(const FitnessJob& job) const override {
        return hash ? hash(score(job)) : std::nullopt;
    }
    std::span<const double> retentions() const override { return at; }
    std::span<const ColumnId> columns() const override { return columns_; }
    std::size_t work(SearchSplit) const override { return work_of_one; }

    /// Of a job; of parameters their sum.
    static double score(const FitnessJob& job) {
        if (!job.program) {
            double sum = 0;
            for (const double value : job.constants) sum += value;
            return sum;
        }
        constexpr std::size_t room = 64; // kernels read and write in whole vectors
        std::vector<std::array<double, room>> values;
        for (const ColumnId id : job.program->columns()) values.emplace_back().fill(made_token.at(columns::name(id)));
        std::vector<formula::ColumnView> views;
        for (std::size_t i = 0; i < values.size(); ++i)
            views.push_back({values[i].data(), columns::kind(job.program->columns()[i]) != ColumnKind::token});
        std::array<double, room> out{};
        formula::Workspace workspace;
        job.program->evaluate(views, job.constants, 1, out.data(), workspace);
        return out[0];
    }
    static double score(const std::string& text) {
        const formula::Program program(formula::parse(text));
        return score(FitnessJob{&program, program.constants()});
    }

private:
    Errors errors_;
    std::vector<ColumnId> columns_;
};

} // namespace evictlab::test
