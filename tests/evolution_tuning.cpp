// Tuning of constants: it finds minima, never loses the start, and gives the same bits for the same seed.
// SPDX-License-Identifier: MIT
#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "evolution/tuning.hpp"
#include "tests/support/catch.hpp"

using namespace evictlab::evolution;

namespace {

double valley(std::span<const double> x) {
    const double a = x[0] - 2;
    const double b = x[1] + 0.5;
    const double c = x[2] - 100;
    return a * a + 10 * b * b + c * c / 1e4;
}

} // namespace

TEST_CASE("tuning finds the bottom of a valley whose sides differ in scale") {
    const std::vector<double> start{1, -1, 50};
    const TuningResult result = tune_constants(start, valley(start), {5, 1500, 0.15}, valley);
    CHECK(result.error < 1e-3);
    CHECK(result.error == valley(result.values));
    CHECK(result.values[0] == Approx(2).margin(0.05));
    CHECK(result.values[2] == Approx(100).margin(4));
}

TEST_CASE("tuning begins at the start and is never worse than it") {
    const std::vector<double> start{2, -0.5, 100};
    const TuningResult result = tune_constants(start, 0, {1, 200, 0.15}, valley);
    CHECK(result.error == 0);
    CHECK(result.values == start);
    const TuningResult flat = tune_constants(start, 0.5, {1, 200, 0.15}, [](auto) { return 0.5; });
    CHECK(flat.values == start);
}

TEST_CASE("tuning counts its evaluations and keeps to about the number allowed") {
    std::size_t calls = 0;
    const std::vector<double> start{1, -1, 50};
    const TuningResult result = tune_constants(start, valley(start), {5, 300, 0.15}, [&](auto values) {
        ++calls;
        return valley(values);
    });
    CHECK(result.evaluations == calls);
    CHECK(calls <= 320);
    CHECK(calls >= 200);
}

TEST_CASE("the same seed gives the same bits, another seed another way") {
    const std::vector<double> start{1, -1, 50};
    const auto tuned = [&](std::uint32_t seed) {
        return tune_constants(start, valley(start), {seed, 200, 0.15}, valley);
    };
    CHECK(tuned(9).values == tuned(9).values);
    CHECK(tuned(9).values != tuned(10).values);
}

TEST_CASE("small constants move in steps of their own size, however large the others are") {
    const std::vector<double> start{-0.001, 50, 0};
    double farthest = 0;
    bool zero_moved = false;
    tune_constants(start, 1, {3, 40, 0.15}, [&](auto values) {
        farthest = std::max(farthest, std::abs(values[0] - start[0]));
        zero_moved = zero_moved || values[2] != 0;
        return 2.0;
    });
    CHECK(farthest > 0.0001);
    CHECK(farthest < 0.001);
    CHECK(zero_moved);
}

TEST_CASE("one constant, and none") {
    const auto parabola = [](std::span<const double> x) { return x.empty() ? 7.0 : (x[0] - 3) * (x[0] - 3); };
    const std::vector<double> one{1};
    CHECK(tune_constants(one, 4, {2, 400, 0.15}, parabola).error < 1e-4);
    const TuningResult none = tune_constants({}, 7, {2, 400, 0.15}, parabola);
    CHECK(none.values.empty());
    CHECK(none.evaluations == 0);
}

TEST_CASE("what the objective throws passes through") {
    const std::vector<double> start{1, 2};
    CHECK_THROWS_AS(tune_constants(start, 1, {2, 400, 0.15}, [](auto) -> double { throw std::out_of_range("stop"); }),
                    std::out_of_range);
}

TEST_CASE("as many evaluations are made as fit into generations of their size, and one generation at least") {
    const auto calls = [](std::size_t constants, std::size_t evaluations) {
        std::size_t made = 0;
        const std::vector<double> start(constants, 1.0);
        const auto result = tune_constants(start, 1, {3, evaluations, 0.15}, [&](std::span<const double> values) {
            CHECK(values.size() == constants);
            ++made;
            double sum = 0; // falls without end
            for (const double value : values) sum += value;
            return -sum;
        });
        CHECK(result.evaluations == made);
        return made;
    };
    // 4 and three times the logarithm of the number of constants, but at least 6.
    CHECK(calls(1, 36) == 36);
    CHECK(calls(1, 41) == 36);
    CHECK(calls(2, 36) == 36);
    CHECK(calls(3, 36) == 35);
    CHECK(calls(10, 36) == 30);
    CHECK(calls(40, 36) == 30);
    CHECK(calls(1, 5) == 6);
    CHECK(calls(1, 0) == 6);
    CHECK(calls(10, 1) == 10);
}

TEST_CASE("the first steps are about the start, of the size that was asked for in parts of each constant") {
    for (const double start : {10.0, -0.5, 0.0})
        for (const double step : {0.15, 0.4}) {
            double sum = 0, squares = 0, count = 0;
            for (std::uint32_t seed = 1; seed <= 200; ++seed) {
                const std::vector<double> from{start};
                tune_constants(from, 1, {seed, 6, step}, [&](std::span<const double> values) {
                    const double moved = (values[0] - start) / (start == 0 ? 0.02 : std::abs(start));
                    sum += moved;
                    squares += moved * moved;
                    count += 1;
                    return 2.0;
                });
            }
            CHECK(count == 1200);
            CHECK(std::abs(sum / count) < 4 * step / std::sqrt(count));
            CHECK(std::sqrt(squares / count) == Approx(step).epsilon(0.1));
        }
}

TEST_CASE("the best that was visited is kept, as it was visited, though the search went on") {
    std::vector<std::pair<double, std::vector<double>>> visits;
    const std::vector<double> start{1.23456789, 50};
    const auto result = tune_constants(start, 1e9, {7, 60, 0.15}, [&](std::span<const double> values) {
        visits.push_back({std::abs(values[0] - 1.3) + std::abs(values[1] - 52), {values.begin(), values.end()}});
        return visits.back().first;
    });
    const auto best =
        std::min_element(visits.begin(), visits.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
    CHECK(result.error == best->first);
    CHECK(result.values == best->second);
    for (const auto& [error, values] : visits) // four digits, as formulas have them
        CHECK(std::abs(values[1] * 100 - std::round(values[1] * 100)) < 1e-6);
    CHECK(tune_constants(start, best->first, {7, 60, 0.15}, [&](std::span<const double>) {
              return best->first;
          }).values == start); // as good is not better
}
