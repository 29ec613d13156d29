// Every operator on a plugin's parameters held to its description: from the same random stream it must make these
// values and say these words. SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <optional>

#include "evolution/variation/expression.hpp"
#include "evolution/variation/parameters.hpp"
#include "framework/plugin/host.hpp"
#include "tests/support/catch.hpp"

using namespace evictlab;
using namespace evictlab::evolution;

namespace {

using Values = std::vector<double>;

const ParameterSpace& space() {
    static PluginHost host(std::vector<std::filesystem::path>{EVICTLAB_PLUGIN_FOLDER});
    static const ParameterSpace made(make_scorer(EVICTLAB_TEST_PLUGINS "/tuned/scales.so", host));
    return made;
}

struct Row {
    const char* key;
    double preset, min, max;
    bool whole, truth, log_scale;
};
const Row rows[] = {{"share", 0.25, 0, 1, false, false, false},   {"power", 1, -4, 4, false, false, false},
                    {"rate", 0.5, 0.001, 10, false, false, true}, {"wide", 2, -1e6, 1e6, false, false, false},
                    {"window", 8, 1, 64, true, false, false},     {"newest", 0, 0, 1, false, true, false}};

double fitted(std::size_t i, double value) {
    value = tidy(value);
    return std::clamp(rows[i].whole ? std::round(value) : value, rows[i].min, rows[i].max);
}

/// By about so much of the parameter's own scale, in the words of parameters.cpp's comment.
double moved(std::size_t i, double value, double step, Rng& rng) {
    const Row& row = rows[i];
    if (row.truth) return value == 0 ? 1 : 0;
    const double by = step * rng.normal(), range = row.max - row.min;
    const double size = std::max(std::abs(value), std::abs(row.preset));
    const bool wide = range > 100 * (size > 1 ? size : 1);
    if ((row.log_scale || wide) && value > 0) // a ratio, and its inverse the other way
        return fitted(i, by < 0 ? value / (1 + std::abs(by)) : value * (1 + by));
    if (wide) return fitted(i, value + by * (size > 1 ? size : 1));
    const bool in_parts_of_itself = rng.uniform() < 0.5 && value != 0;
    return fitted(i, in_parts_of_itself ? value + value * by : value + by * range / 10);
}

std::string shown(std::size_t i, double value) {
    if (!rows[i].truth) return fmt::format("{}", value);
    return value == 0 ? "false" : "true";
}

struct Made {
    Values values;
    std::string hypothesis;
};
using Expected = std::function<std::optional<Made>(Rng& rng)>;

void check(std::string_view name, const Values& first, const Values& second, const Expected& expected) {
    INFO(name);
    const auto op = std::ranges::find(parameter_operators(), name, &ParameterOperator::name);
    REQUIRE(op != parameter_operators().end());
    const std::vector<const Values*> parents{&first, &second};
    for (std::uint32_t slot = 0; slot < 200; ++slot) {
        Rng rng(41, 1, slot, Purpose::variation), again = rng;
        const ParameterOffspring made = op->make(parents, rng, space());
        const auto wanted = expected(again);
        CHECK(rng.next() == again.next());
        REQUIRE(made.values.empty() == !wanted);
        if (!wanted) continue;
        REQUIRE(made.values.size() == wanted->values.size());
        for (std::size_t i = 0; i < made.values.size(); ++i)
            CHECK(made.values[i] == Approx(wanted->values[i]).epsilon(1e-3));
        if (made.values == wanted->values) CHECK(made.hypothesis == wanted->hypothesis);
    }
}

Made with_one(const Values& values, std::size_t i, double value, const char* why) {
    Values changed = values;
    changed[i] = value;
    return {changed, fmt::format("{} {} instead of {} {}", rows[i].key, shown(i, value), shown(i, values[i]), why)};
}

const Values parents[][2] = {{{0.25, 1, 0.5, 2, 8, 0}, {0.5, 1, 0.5, 3, 9, 1}},
                             {{0, 0, 5, 0, 60, 1}, {0, 0, 5, 0, 60, 1}},
                             {{0.9, -3, 0.002, -50, 1, 0}, {0.1, 3, 9, 50, 64, 1}},
                             {{0.1, 0.01, 9.5, 50000, 2, 1}, {0.2, 0.02, 9.4, 0.001, 3, 0}},
                             {{0.2, 2, 1, 0.5, 30, 1}, {0.2, 2, 1, -0.5, 31, 1}}};

} // namespace

TEST_CASE("one parameter moves far, by its own scale") {
    REQUIRE(space().parameters().size() == std::size(rows));
    for (const auto& pair : parents)
        check("parameter_step", pair[0], pair[1], [&one = pair[0]](Rng& rng) {
            const std::size_t i = rng.below(6);
            return with_one(one, i, moved(i, one[i], 0.5, rng), "may suit these documents better");
        });
}

TEST_CASE("one parameter moves to a value next to it: whole numbers by one or two") {
    for (const auto& pair : parents)
        check("parameter_neighbour", pair[0], pair[1], [&one = pair[0]](Rng& rng) {
            const std::size_t i = rng.below(6);
            double to = 0;
            if (rows[i].whole) {
                const double up = rng.uniform() < 0.5 ? 1 : -1;
                to = std::clamp(one[i] + (rng.uniform() < 0.5 ? up : 2 * up), 1.0, 64.0);
            } else {
                to = moved(i, one[i], 0.03, rng);
            }
            return with_one(one, i, to, "is next to it: the best may be close by");
        });
}

TEST_CASE("all parameters move a little, and truth values in one of ten cases") {
    for (const auto& pair : parents)
        check("parameters_jitter", pair[0], pair[1], [&one = pair[0]](Rng& rng) {
            Values values = one;
            for (std::size_t i = 0; i < values.size(); ++i)
                if (!rows[i].truth || rng.uniform() < 0.1) values[i] = moved(i, values[i], 0.15, rng);
            return Made{values, "all parameters moved a little: looks for a better balance nearby"};
        });
}

TEST_CASE("some parameters come from another parent") {
    for (const auto& pair : parents)
        check("parameters_crossover", pair[0], pair[1], [&one = pair[0], &two = pair[1]](Rng& rng) {
            Values values = one;
            std::string taken;
            for (std::size_t i = 0; i < values.size(); ++i) {
                const bool from_second = rng.uniform() < 0.5;
                if (!from_second || one[i] == two[i]) continue;
                values[i] = two[i];
                taken += (taken.empty() ? "" : ", ") + std::string(rows[i].key);
            }
            return Made{values, taken + " of another may go with the rest of this"};
        });
}

TEST_CASE("one parameter goes back to the preset's value, where one differs") {
    for (const auto& pair : parents)
        check("parameter_reset", pair[0], pair[1], [&one = pair[0]](Rng& rng) -> std::optional<Made> {
            std::vector<std::size_t> changed;
            for (std::size_t i = 0; i < one.size(); ++i)
                if (one[i] != rows[i].preset) changed.push_back(i);
            if (changed.empty()) return std::nullopt;
            const std::size_t i = changed[rng.below(changed.size())];
            return with_one(one, i, rows[i].preset, "as published, was perhaps not the trouble");
        });
}

TEST_CASE("operators on parameters are drawn with these weights, and ask for these parents") {
    struct Drawn {
        std::string_view name;
        Mating mating;
        double weight;
    };
    const Drawn drawn[] = {{"parameter_step", Mating::one, 1},
                           {"parameter_neighbour", Mating::one, 1},
                           {"parameters_jitter", Mating::one, 0.7},
                           {"parameters_crossover", Mating::two, 0.7},
                           {"parameter_reset", Mating::one, 0.3}};
    REQUIRE(parameter_operators().size() == std::size(drawn));
    for (std::size_t i = 0; i < std::size(drawn); ++i) {
        CHECK(parameter_operators()[i].name == drawn[i].name);
        CHECK(parameter_operators()[i].mating == drawn[i].mating);
        CHECK(parameter_operators()[i].weight == drawn[i].weight);
        CHECK(parameter_operators()[i].help.size() > 10);
    }
}
