// SPDX-License-Identifier: MIT
#include "evolution/race.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <functional>

#include "base/statistics/mean.hpp"
#include "evolution/islands.hpp"

namespace evictlab::evolution {
namespace {

/// Attention loss is another measure than the fitness, so more is allowed there.
constexpr RaceRule screening{2, 0.1};
constexpr RaceRule racing{2, 0};

} // namespace

bool falls_behind(std::span<const double> figures, std::span<const double> rival, const RaceRule& rule) {
    const double ahead = mean(rival), behind = mean(figures) - ahead;
    std::vector<double> differences(figures.size());
    std::ranges::transform(figures, rival, differences.begin(), std::minus<>());
    return behind > std::max(rule.z * standard_error(differences, behind), rule.slack * ahead);
}

Rival::Rival(const Fitness& fitness, const FitnessJob& job) : figures_(fitness.heats().size()) {
    fitness.race({&job, 1}, [this](std::size_t heat, std::size_t, std::span<const double> figures) {
        figures_[heat].assign(figures.begin(), figures.end());
        return heat + 1 < figures_.size();
    });
}

bool Rival::behind(std::size_t heat, std::span<const double> figures) const {
    return falls_behind(figures, figures_[heat], heat == 0 ? screening : racing);
}

double Rival::ratio(std::size_t heat, std::span<const double> figures) const {
    return mean(figures) / std::max(1e-12, mean(figures_[heat]));
}

std::vector<Raced> race_all(const Fitness& fitness, std::span<const Genome> genomes,
                            std::span<const Rival* const> rivals, const StopSignal& stop) {
    std::vector<Raced> all;
    all.reserve(genomes.size());
    if (std::ranges::all_of(rivals, [](const Rival* rival) { return rival == nullptr; })) {
        for (auto& errors : evaluate_all(fitness, SearchSplit::train, genomes, stop))
            all.push_back({std::move(errors), ""});
        return all;
    }
    const std::vector<std::string> heats = fitness.heats();
    const std::vector<FitnessJob> all_jobs = jobs_of(genomes);
    for_each_piece(fitness, SearchSplit::train, all_jobs, stop, [&](std::span<const FitnessJob> jobs) {
        const std::size_t first = all.size();
        all.resize(first + jobs.size());
        auto results = fitness.race(jobs, [&](std::size_t heat, std::size_t job, std::span<const double> figures) {
            const Rival* rival = rivals[first + job];
            if (!rival || !rival->behind(heat, figures)) return true;
            all[first + job].why = fmt::format("not measured in full: its {} is {:.4f} times that of the last in the "
                                               "population",
                                               heats[heat], rival->ratio(heat, figures));
            return false;
        });
        for (std::size_t i = 0; i < jobs.size(); ++i) all[first + i].errors = std::move(results[i].errors);
    });
    return all;
}

Rivals::Rivals(const RunState& state, const RunConfig& config, const Fitness& fitness) : rivals_(config.islands) {
    if (!config.race || fitness.heats().empty()) return;
    for (std::uint32_t island = 0; island < config.islands; ++island) {
        std::vector<const Member*> members;
        for (const Member& member : state.population)
            if (member.island == island) members.push_back(&member);
        const Member* last = last_place(members, places_of_island(config.population, island, config.islands));
        if (!last) continue;
        rivals_[island].emplace(fitness, last->genome.job());
    }
}

double raced_error(const Fitness& fitness, const FitnessJob& job, const Rival& rival, double rival_error) {
    double estimate = 0;
    const auto results = fitness.race({&job, 1}, [&](std::size_t heat, std::size_t, std::span<const double> figures) {
        if (!rival.behind(heat, figures)) return true;
        estimate = rival_error * std::max(1.0, rival.ratio(heat, figures));
        return false;
    });
    return results.front().finished ? results.front().errors.average : estimate;
}

} // namespace evictlab::evolution
