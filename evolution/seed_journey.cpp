// SPDX-License-Identifier: MIT
#include "evolution/seed_journey.hpp"

#include <fmt/format.h>

#include <map>

#include "evolution/batch.hpp"
#include "evolution/gates.hpp"
#include "evolution/variation/operator.hpp"

namespace evictlab::evolution {
namespace {

constexpr std::string_view hybrid_baseline = "if(position < 4, keep, 0.4*(0.3*cumulative_attn + 0.7*recent_attn) + "
                                             "0.3*max(0, 1 - relative_pos/64) - 0.1*key_norm)";

/// The start formula's shape: the seed's steps change its parts.
struct Shape {
    std::string_view recent = "0.6", cumulative = "0.4", power = "0.3", recency = "0.2", rest = "";

    std::string text() const {
        return fmt::format("if(position < 4, keep, if(relative_pos < 4, 1e6 - relative_pos, {}*recent_attn + "
                           "{}*cumulative_attn*((position+1)/sequence_len)^{} + {}*max(0, 1 - relative_pos/128){}))",
                           recent, cumulative, power, recency, rest);
    }
};

constexpr std::string_view layered_recent = "(0.7 - 0.2*layer_ratio)";
constexpr std::string_view layered_cumulative = "(0.3 + 0.2*layer_ratio)";
constexpr std::string_view layered_power = "(0.25 + 0.1*layer_ratio)";
constexpr std::string_view layered_recency = "(0.15 + 0.1*layer_ratio)";
constexpr std::string_view norm_penalty = " - 0.1*min(key_norm, 2)";

void add_opening(std::vector<JourneyStep>& steps) {
    constexpr std::string_view names[] = {"gen1_multiplicative", "gen1_entropy_based", "gen1_softmax_temperature",
                                          "gen1_complex_layer_adaptive"};
    const auto strategies = opening_strategies();
    for (std::size_t i = 0; i < strategies.size(); ++i)
        steps.push_back({names[i],
                         1,
                         strategies[i].name,
                         {"start_formula"},
                         strategies[i].hypothesis,
                         std::string(strategies[i].formula),
                         "REJECTED",
                         strategies[i].seed_result});
}

void add_second_generation(std::vector<JourneyStep>& steps) {
    const auto add = [&](std::string_view name, std::string_view mutation, std::string_view hypothesis,
                         const Shape& shape, std::string_view status, std::string_view result) {
        steps.push_back({name, 2, mutation, {"start_formula"}, hypothesis, shape.text(), status, result});
    };
    add("gen2_layer_aware", "layer_aware",
        "early layers attend diffusely and need recent attention, late layers are focused (PyramidKV)",
        {layered_recent, layered_cumulative, "0.3", "0.2", ""}, "CHAMPION", "6.92%");
    add("gen2_weight_70_30", "weight_70_30", "0.7/0.3 better than 0.6/0.4: recent attention tells more",
        {"0.7", "0.3", "0.3", "0.2", ""}, "accepted", "6.92%");
    add("gen2_weight_50_50", "weight_50_50", "equal weights: cumulative attention tells as much as recent",
        {"0.5", "0.5", "0.3", "0.2", ""}, "", "");
    add("gen2_key_norm", "key_norm_penalty", "large keys are outliers and may be noise (KnormPress)",
        {"0.6", "0.4", "0.3", "0.2", norm_penalty}, "accepted", "~6%");
    add("gen2_position_02", "position_power_0.2", "weaker position correction helps", {"0.6", "0.4", "0.2", "0.2", ""},
        "accepted", "~5%");
    add("gen2_position_04", "position_power_0.4", "stronger position correction helps",
        {"0.6", "0.4", "0.4", "0.2", ""}, "", "");
}

void add_later_generations(std::vector<JourneyStep>& steps) {
    steps.push_back({"gen3_layer_aware_key_norm",
                     3,
                     "layer_aware + key_norm",
                     {"gen2_layer_aware", "gen2_key_norm"},
                     "the two signals are additive",
                     Shape{layered_recent, layered_cumulative, "0.3", "0.2", norm_penalty}.text(),
                     "improved",
                     "7.00%"});
    steps.push_back({"gen3_full_crossover",
                     3,
                     "+ position_power",
                     {"gen3_layer_aware_key_norm", "gen2_position_02"},
                     "position bias is stronger in late layers, so the correction follows the layer",
                     Shape{layered_recent, layered_cumulative, layered_power, "0.2", norm_penalty}.text(),
                     "improved",
                     "7.05%"});
    steps.push_back({"gen4_champion",
                     4,
                     "+ layer_aware_recency",
                     {"gen3_full_crossover"},
                     "late layers need stronger recency",
                     Shape{layered_recent, layered_cumulative, layered_power, layered_recency, norm_penalty}.text(),
                     "CHAMPION",
                     "7.07%"});
}

double improvement(double error, double baseline) { return 100 * (baseline - error) / baseline; }

/// The baseline, the start formula and the steps, measured on both splits in two calls.
struct Measured {
    std::vector<Genome> genomes;
    std::vector<FormulaErrors> train, valid;
};

Measured measure(const Fitness& fitness, std::span<const JourneyStep> steps) {
    Measured measured;
    const auto add = [&](std::string_view text) { measured.genomes.push_back(Genome::verbatim(formula::parse(text))); };
    add(hybrid_baseline);
    add(Shape{}.text());
    for (const JourneyStep& step : steps) add(step.formula);
    measured.train = evaluate_all(fitness, SearchSplit::train, measured.genomes, {});
    measured.valid = evaluate_all(fitness, SearchSplit::valid, measured.genomes, {});
    return measured;
}

void judge(Candidate& candidate, const std::map<std::string, Candidate>& known, Candidate& champion) {
    Reference best{0, 0};
    for (const std::string& parent : candidate.parents) {
        const Candidate& each = known.at(parent);
        if (best.nodes == 0 || each.train.average < best.train) best = {each.train.average, each.genome.size()};
    }
    const GateResult train = gate_train(candidate, best, 0);
    candidate.reason = train.reason;
    if (!train.passed) return;
    const GateResult promotion = gate_promotion(candidate, champion);
    candidate.reason += "; " + promotion.reason;
    candidate.status = promotion.passed ? Status::champion : Status::accepted;
    if (promotion.passed) champion = candidate;
}

Candidate candidate_of(std::string_view id, const Genome& genome, FormulaErrors train, FormulaErrors valid) {
    Candidate candidate;
    candidate.id = id;
    candidate.genome = genome;
    candidate.train = std::move(train);
    candidate.valid = std::move(valid);
    return candidate;
}

} // namespace

std::vector<JourneyStep> seed_journey() {
    std::vector<JourneyStep> steps;
    add_opening(steps);
    add_second_generation(steps);
    add_later_generations(steps);
    return steps;
}

std::vector<JourneyRow> replay_seed_journey(const Fitness& fitness) {
    const std::vector<JourneyStep> steps = seed_journey();
    Measured measured = measure(fitness, steps);
    Candidate champion = candidate_of("start_formula", measured.genomes[1], measured.train[1], measured.valid[1]);
    std::map<std::string, Candidate> known{{champion.id, champion}};
    std::vector<JourneyRow> rows;
    for (std::size_t i = 0; i < steps.size(); ++i) {
        const std::size_t at = i + 2;
        JourneyRow row{steps[i],
                       candidate_of(steps[i].name, measured.genomes[at], measured.train[at], measured.valid[at]),
                       improvement(measured.train[at].average, measured.train[0].average),
                       improvement(measured.valid[at].average, measured.valid[0].average)};
        row.candidate.generation = steps[i].generation;
        row.candidate.slot = static_cast<std::uint32_t>(i);
        row.candidate.parents.assign(steps[i].parents.begin(), steps[i].parents.end());
        row.candidate.op = steps[i].mutation;
        row.candidate.hypothesis = steps[i].hypothesis;
        judge(row.candidate, known, champion);
        known[row.candidate.id] = row.candidate;
        rows.push_back(std::move(row));
    }
    return rows;
}

std::string journey_table(std::span<const JourneyRow> rows) {
    std::string table =
        "| Generation | Mutation | Seed: result | Seed: status | Ours: train | Ours: valid | Ours: status "
        "| Reason |\n|---|---|---|---|---|---|---|---|\n";
    const auto or_dash = [](std::string_view text) { return text.empty() ? std::string_view("-") : text; };
    for (const JourneyRow& row : rows)
        table += fmt::format("| {} | `{}` | {} | {} | {:.2f}% | {:.2f}% | {} | {} |\n", row.step.generation,
                             row.step.mutation, or_dash(row.step.seed_result), or_dash(row.step.seed_status),
                             row.train_improvement, row.valid_improvement, to_string(row.candidate.status),
                             row.candidate.reason);
    return table + "\nFigures are improvements over `hybrid_baseline` (lower error is better); the seed's are of its "
                   "training split.\n";
}

} // namespace evictlab::evolution
