// SPDX-License-Identifier: MIT
#include "evolution/variation/parameters.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "evolution/variation/expression.hpp"

namespace evictlab::evolution {
namespace {

using Values = std::vector<double>;
using Parents = std::span<const Values* const>;

/// A move by about `step` of the parameter's own scale: a ratio where that is logarithmic, or far wider than the value;
/// else a part of the value or, as often, a tenth of that part of the range.
double moved(const ParameterSpace& space, std::size_t index, double value, double step, Rng& rng) {
    const Parameter& parameter = space.parameters()[index];
    if (parameter.type == EVL_BOOLEAN) return 1 - value;
    const double by = step * rng.normal();
    const double range = parameter.max - parameter.min,
                 size = std::max(std::abs(value), std::abs(space.preset()[index]));
    const bool wide = range > 100 * std::max(1.0, size);
    double to = value;
    if (value > 0 && (parameter.log_scale || wide))
        to = by < 0 ? value / (1 - by) : value * (1 + by);
    else if (wide)
        to = value + by * std::max(1.0, size);
    else
        to = rng.chance(0.5) && value != 0 ? value * (1 + by) : value + 0.1 * by * range;
    return space.fitted(index, tidy(to));
}

/// One up or down, or two (some parameters are odd); a continuous one by some hundredths.
double neighbour(const ParameterSpace& space, std::size_t index, double value, Rng& rng) {
    const Parameter& parameter = space.parameters()[index];
    if (parameter.type != EVL_INTEGER) return moved(space, index, value, 0.03, rng);
    const double up = rng.chance(0.5) ? 1 : -1;
    return space.fitted(index, value + (rng.chance(0.5) ? up : 2 * up));
}

std::string shown(const Parameter& parameter, double value) {
    if (parameter.type == EVL_BOOLEAN) return value != 0 ? "true" : "false";
    return fmt::format("{}", value);
}

std::string change(const ParameterSpace& space, std::size_t index, double before, double after) {
    const Parameter& parameter = space.parameters()[index];
    return fmt::format("{} {} instead of {}", parameter.key, shown(parameter, after), shown(parameter, before));
}

ParameterOffspring with_one(Parents parents, std::size_t index, double value, const ParameterSpace& space,
                            const char* why) {
    Values values = *parents[0];
    const std::string text = change(space, index, values[index], value);
    values[index] = value;
    return {std::move(values), fmt::format("{} {}", text, why)};
}

ParameterOffspring step(Parents parents, Rng& rng, const ParameterSpace& space) {
    const std::size_t index = rng.below(space.parameters().size());
    const double value = moved(space, index, (*parents[0])[index], 0.5, rng);
    return with_one(parents, index, value, space, "may suit these documents better");
}

ParameterOffspring neighbouring(Parents parents, Rng& rng, const ParameterSpace& space) {
    const std::size_t index = rng.below(space.parameters().size());
    const double value = neighbour(space, index, (*parents[0])[index], rng);
    return with_one(parents, index, value, space, "is next to it: the best may be close by");
}

ParameterOffspring jitter(Parents parents, Rng& rng, const ParameterSpace& space) {
    Values values = *parents[0];
    for (std::size_t i = 0; i < values.size(); ++i) {
        const bool flips = space.parameters()[i].type != EVL_BOOLEAN || rng.chance(0.1);
        if (flips) values[i] = moved(space, i, values[i], 0.15, rng);
    }
    return {std::move(values), "all parameters moved a little: looks for a better balance nearby"};
}

ParameterOffspring crossover(Parents parents, Rng& rng, const ParameterSpace& space) {
    Values values = *parents[0];
    std::string taken;
    for (std::size_t i = 0; i < values.size(); ++i) {
        if (!rng.chance(0.5) || (*parents[1])[i] == values[i]) continue;
        values[i] = (*parents[1])[i];
        taken += (taken.empty() ? "" : ", ") + space.parameters()[i].key;
    }
    return {std::move(values), fmt::format("{} of another may go with the rest of this", taken)};
}

ParameterOffspring reset(Parents parents, Rng& rng, const ParameterSpace& space) {
    std::vector<std::size_t> changed;
    for (std::size_t i = 0; i < parents[0]->size(); ++i)
        if ((*parents[0])[i] != space.preset()[i]) changed.push_back(i);
    if (changed.empty()) return {};
    const std::size_t index = rng.any(changed);
    return with_one(parents, index, space.preset()[index], space, "as published, was perhaps not the trouble");
}

constexpr std::array table{
    ParameterOperator{"parameter_step", "one parameter moves far, by its own scale", Mating::one, 1.0, step},
    ParameterOperator{"parameter_neighbour", "one parameter moves to a value next to it", Mating::one, 1.0,
                      neighbouring},
    ParameterOperator{"parameters_jitter", "all parameters move by about 15 %", Mating::one, 0.7, jitter},
    ParameterOperator{"parameters_crossover", "some parameters come from another parent", Mating::two, 0.7, crossover},
    ParameterOperator{"parameter_reset", "one parameter goes back to the preset's value", Mating::one, 0.3, reset},
};

} // namespace

std::span<const ParameterOperator> parameter_operators() { return table; }

} // namespace evictlab::evolution
