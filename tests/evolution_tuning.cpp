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
