// The paired bootstrap: what its intervals must be where theory knows, and that nothing but the values decides them.
// SPDX-License-Identifier: MIT
#include "base/statistics/bootstrap.hpp"
#include "base/statistics/geometric_mean.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <stdexcept>
#include <thread>

#include "base/statistics/philox.hpp"
#include "tests/support/catch.hpp"

namespace evictlab::report {
namespace {

/// Nearly normal values around `centre`, with a standard deviation of 1.
std::vector<double> sample(std::size_t documents, double centre, std::uint32_t number) {
    Rng random(7, number, 0, Purpose::variation);
    std::vector<double> values(documents);
    for (double& value : values) value = centre + random.normal();
    return values;
}

} // namespace

TEST_CASE("the interval of a mean is about two standard errors wide on each side") {
    const auto values = sample(400, 3, 0);
    const double mean = std::accumulate(values.begin(), values.end(), 0.0) / 400;
    double squares = 0;
    for (const double value : values) squares += (value - mean) * (value - mean);
    const double standard_error = std::sqrt(squares / 400 / 400);
    const Estimate estimate = Bootstrap(400).mean(values);
    CHECK(estimate.value == Approx(mean));
    CHECK(estimate.interval->low == Approx(mean - 1.96 * standard_error).margin(0.08 * standard_error));
    CHECK(estimate.interval->high == Approx(mean + 1.96 * standard_error).margin(0.08 * standard_error));
}

TEST_CASE("of many samples nearly 95 in 100 have the true mean in their interval") {
    const Bootstrap bootstrap(40);
    int covered = 0;
    for (std::uint32_t number = 0; number < 400; ++number) {
        const auto interval = *bootstrap.mean(sample(40, 0, number)).interval;
        covered += interval.low <= 0 && 0 <= interval.high;
    }
    CHECK(covered >= 360); // 40 documents are few: theory says about 94 %
    CHECK(covered <= 392);
}

TEST_CASE("documents of several suites are drawn within each, and of one as always") {
    const auto first = sample(12, 1, 1), second = sample(30, -2, 2);
    const auto mean = [](const std::vector<double>& values, std::span<const std::uint32_t> drawn, std::size_t from) {
        double sum = 0;
        for (const std::uint32_t i : drawn) sum += values.at(i - from);
        return sum / static_cast<double>(drawn.size());
    };
    const std::vector<std::size_t> one{12}, two{12, 30}, lone{12, 1};
    const Estimate alone = grouped_bootstrap(one, [&](auto drawn) { return mean(first, drawn, 0); });
    const Estimate usual = Bootstrap(12).mean(first);
    CHECK(alone.value == Approx(usual.value));
    CHECK(alone.interval->low == Approx(usual.interval->low));
    CHECK(alone.interval->high == Approx(usual.interval->high));
    const Estimate both = grouped_bootstrap(two, [&](auto drawn) { // at() throws where one suite's were the other's
        return mean(first, drawn.first(12), 0) + mean(second, drawn.subspan(12), 12);
    });
    const auto width = [](const Estimate& estimate) { return estimate.interval->high - estimate.interval->low; };
    const double other = width(Bootstrap(30).mean(second));
    CHECK(width(both) == Approx(std::hypot(width(usual), other)).epsilon(0.08)); // as of independent draws
    CHECK_FALSE(grouped_bootstrap(lone, [](auto) { return 0.0; }).interval.has_value());
}

TEST_CASE("two documents give their own range, one gives no interval") {
    const std::vector<double> two{0.25, 0.75};
    const Estimate estimate = Bootstrap(2).mean(two);
    CHECK(estimate.value == 0.5);
    CHECK(estimate.interval->low == 0.25);
    CHECK(estimate.interval->high == 0.75);
    const std::vector<double> one{0.25};
    CHECK_FALSE(Bootstrap(1).mean(one).interval.has_value());
    CHECK(Bootstrap(1).mean(one).value == 0.25);
}

TEST_CASE("documents are paired: a constant difference has an interval without width") {
    const auto hard = sample(9, 20, 1);
    std::vector<double> differences;
    for (const double value : hard) differences.push_back((value - 0.5) - value);
    const Estimate estimate = Bootstrap(9).mean(differences);
    CHECK(estimate.interval->high == Approx(-0.5));
    CHECK(estimate.interval->low == Approx(-0.5));
    CHECK(estimate.interval->below(0));
}

TEST_CASE("a ratio of geometric means weighs every document alike") {
    const std::vector<double> a{0.5, 0.05, 0.0005}, b{1, 0.1, 0.001}, mixed{0.25, 0.1, 0.002};
    const Bootstrap bootstrap(3);
    CHECK(bootstrap.ratio(a, b).value == Approx(0.5));
    CHECK(bootstrap.ratio(a, b).interval->high == Approx(0.5));
    CHECK(bootstrap.ratio(mixed, b).value == Approx(std::cbrt(0.25 * 1 * 2)));
    CHECK(bootstrap.ratio(mixed, b).interval->low == Approx(0.25));
    CHECK(bootstrap.ratio(mixed, b).interval->high == Approx(2));
    CHECK(geometric_mean(b) == Approx(std::cbrt(0.0001)));
    const std::vector<double> zero{0, 0.1, 0.001};
    CHECK(bootstrap.ratio(zero, b).value == Approx(std::cbrt(least_divergence)));
}

TEST_CASE("the same values give the same bits, wherever and whenever") {
    const auto values = sample(12, 1, 2);
    const Estimate here = Bootstrap(12).mean(values);
    Estimate there;
    std::thread([&] {
        const Bootstrap again(12);
        (void)again.mean(sample(12, 5, 3));
        there = again.mean(values);
    }).join();
    CHECK(here.interval->low == there.interval->low);
    CHECK(here.interval->high == there.interval->high);
}

TEST_CASE("the wrong number of values is refused") {
    const std::vector<double> three{1, 2, 3};
    CHECK_THROWS_AS(Bootstrap(4).mean(three), std::invalid_argument);
    CHECK_THROWS_AS(Bootstrap(0).mean({}), std::invalid_argument);
}

} // namespace evictlab::report
