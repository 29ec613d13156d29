// SPDX-License-Identifier: MIT
#include "evolution/saved_run.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "evolution/breeding.hpp"
#include "evolution/saved_checks.hpp"
#include "state/store.hpp"

namespace evictlab::evolution {
namespace {

void check_formula(const JsonField& field, const Genome& genome, const Fitness& fitness) {
    for (const formula::Node& node : genome.formula().nodes())
        if (node.op == formula::Op::column && std::ranges::count(fitness.columns(), node.column) == 0)
            field.member("formula").fail(
                fmt::format("reads the column {}, which this run's suites do not give", columns::name(node.column)));
    if (Genome::canonical(genome.formula()).hash() != genome.hash())
        field.member("hash").fail("is not that of the formula");
}

void check_parameters(const JsonField& field, const ParameterSet& set, const ParameterSpace& space) {
    const auto values = field.member("values").elements();
    if (values.size() != space.parameters().size())
        field.member("values").fail(fmt::format("{} values, but the plugin has {} evolvable parameters", values.size(),
                                                space.parameters().size()));
    for (std::size_t i = 0; i < values.size(); ++i)
        if (space.fitted(i, set.values[i]) != set.values[i])
            values[i].fail(
                fmt::format("{} is none that the parameter {} can have", set.values[i], space.parameters()[i].key));
    if (space.text(set.values) != set.scorer)
        field.member("scorer").fail(fmt::format("does not name these values, which are {}", space.text(set.values)));
    if (space.changed(set.values) != set.changed) field.fail("counts other changed parameters than its values have");
}

void check_genome(const JsonField& field, const Genome& genome, const RunConfig& config, const Fitness& fitness) {
    if (!config.space) return check_formula(field, genome, fitness);
    check_parameters(field, *genome.parameters(), *config.space);
    if (genome.hash() != hash_of_text(genome.text())) field.member("hash").fail("is not its scorer's");
}

} // namespace

SavedRun saved_run(const JsonField& content) {
    SavedRun run;
    run.setup = saved_setup(content);
    run.retentions = content.member("retentions").numbers();
    check_saved_setup(content, run.setup, run.retentions);
    run.state = state_from_json(content);
    check_saved_state(content, run.setup, run.state, run.retentions.size());
    return run;
}

void check_can_go_on(const JsonField& content, const RunSetup& setup, const RunState& state, const Fitness& fitness) {
    const auto check = [&](const char* key, const auto& all) {
        const auto list = content.optional_member(key);
        if (!list) return;
        const auto fields = list->elements();
        for (std::size_t i = 0; i < fields.size(); ++i) check_genome(fields[i], all[i].genome, setup.config, fitness);
    };
    check("champions", state.champions);
    check("population", state.population);
    check("archive", state.archive);
    const double price = setup.config.node_price * state.champions.front().train.average;
    const JsonField population = content.member("population");
    const auto fields = population.elements();
    for (std::size_t i = 1; i < fields.size(); ++i)
        if (cost(state.population[i], price) < cost(state.population[i - 1], price))
            fields[i].fail("costs less than the one before it, but the cheapest come first");
}

NamedCandidates::NamedCandidates(const RunState& state) {
    for (const Candidate& champion : state.champions) {
        hashes_.try_emplace(champion.id);
        for (const std::string& parent : champion.parents) hashes_.try_emplace(parent);
    }
    for (const auto* members : {&state.population, &state.archive})
        for (const Member& member : *members) hashes_.try_emplace(member.id);
}

void NamedCandidates::found(const std::string& id, std::uint64_t hash, std::uint32_t generation) {
    ++lines_;
    last_generation_ = std::max(last_generation_, generation);
    if (const auto at = hashes_.find(id); at != hashes_.end()) at->second = hash;
}

void NamedCandidates::check(const JsonField& content, const RunState& state) const {
    const auto check = [&](const char* key, const auto& all) {
        const auto list = content.optional_member(key);
        if (!list) return;
        const auto fields = list->elements();
        for (std::size_t i = 0; i < fields.size(); ++i) {
            const auto& hash = hashes_.at(all[i].id);
            if (!hash) fields[i].member("id").fail("is of no candidate in the journal");
            if (hash != all[i].genome.hash())
                fields[i].member("hash").fail("is not that of this candidate in the journal");
        }
    };
    check("champions", state.champions);
    check("population", state.population);
    check("archive", state.archive);
    const auto champions = content.member("champions").elements();
    for (std::size_t i = 0; i < champions.size(); ++i)
        for (const std::string& parent : state.champions[i].parents)
            if (!hashes_.at(parent)) champions[i].member("parents").fail("name a candidate that is not in the journal");
    if (lines_ != state.counters.candidates)
        content.member("counters")
            .member("candidates")
            .fail(fmt::format("is not the number of lines of the journal, {}", lines_));
    if (last_generation_ > state.generation)
        content.member("generation").fail(fmt::format("is before the journal's last, {}", last_generation_));
}

RunSummary read_run(const std::filesystem::path& state_file) {
    const Json json = state::read_state(state_file);
    const std::string name = state_file.string();
    SavedRun run = saved_run(JsonField(json, name));
    RunSummary summary;
    summary.suite = run.setup.identity.suite;
    summary.suite_hash = run.setup.identity.suite_hash;
    summary.suite_parameters_json = run.setup.identity.suite_parameters_json;
    summary.retentions = std::move(run.retentions);
    summary.shape = run.setup.identity.shape;
    summary.keep = std::move(run.setup.identity.keep);
    summary.seed = run.setup.config.seed;
    summary.generation = run.state.generation;
    summary.evaluations = run.state.counters.evaluations;
    summary.duplicates = run.state.counters.duplicates;
    summary.start = run.setup.config.start;
    summary.stop_reason = run.state.stop_reason;
    summary.command = run.setup.identity.command;
    summary.champion = run.state.champion();
    summary.champions = std::move(run.state.champions);
    return summary;
}

} // namespace evictlab::evolution
