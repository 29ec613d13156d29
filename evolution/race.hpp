// Racing: offspring and tunings are measured in heats (fitness.hpp), cheap ones first, beside a formula that they would
// have to beat, and those that fall clearly behind it are not measured further.
//
// The rule, the same in each heat: the differences between a formula's figures and the rival's are paired by part
// (layer of a document); the formula leaves the race when their mean is above `z` of its standard errors and above
// `slack` of the rival's mean. SPDX-License-Identifier: MIT
#pragma once
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "evolution/batch.hpp"
#include "evolution/run_state.hpp"
#include "evolution/setup.hpp"

namespace evictlab::evolution {

/// How far behind is clearly behind.
struct RaceRule {
    double z = 0;     ///< standard errors of the mean difference
    double slack = 0; ///< in parts of the rival's mean
};

bool falls_behind(std::span<const double> figures, std::span<const double> rival, const RaceRule& rule);

/// A formula to beat, and its figures in every heat. Safe to share between threads once made.
class Rival {
public:
    /// Measures the job in the heats alone.
    Rival(const Fitness& fitness, const FitnessJob& job);
    bool behind(std::size_t heat, std::span<const double> figures) const;
    /// The mean of the figures as a multiple of the rival's.
    double ratio(std::size_t heat, std::span<const double> figures) const;

private:
    std::vector<std::vector<double>> figures_; ///< [heat][part]
};

/// What became of one formula: `errors` where it came through, else `why` it did not, in words and figures.
struct Raced {
    FormulaErrors errors;
    std::string why;
};

/// Errors on train of each, in order; rivals[i] is that of genomes[i], and null for one that is measured in any
/// case. Throws Interrupted.
std::vector<Raced> race_all(const Fitness& fitness, std::span<const Genome> genomes,
                            std::span<const Rival* const> rivals, const StopSignal& stop);

/// The rival of each island's offspring: the formula in its last place, so that who falls behind it could not enter the
/// population. None without RunConfig::race, without heats, and where most places are free.
class Rivals {
public:
    Rivals(const RunState& state, const RunConfig& config, const Fitness& fitness);
    const Rival* of_island(std::uint32_t island) const { return rivals_[island] ? &*rivals_[island] : nullptr; }

private:
    std::vector<std::optional<Rival>> rivals_;
};

/// The job's train error, or, where it falls behind the rival, whose error is `rival_error`, an estimate that is not
/// below that: what a tuner needs to go elsewhere.
double raced_error(const Fitness& fitness, const FitnessJob& job, const Rival& rival, double rival_error);

} // namespace evictlab::evolution
