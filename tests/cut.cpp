// The cut at nested budgets against a stable sort: ties, infinities, drifting and jumping scores, every row length.
// SPDX-License-Identifier: MIT
#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <random>

#include "framework/cut/budget.hpp"
#include "framework/cut/cutter.hpp"
#include "framework/suite/trace.hpp"
#include "tests/support/catch.hpp"

using evictlab::Cutter;
using evictlab::kept_count;
using evictlab::padded;

namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

double slow_cut(const std::vector<double>& scores, const std::vector<double>& mass, std::size_t n, std::size_t kept) {
    std::vector<std::size_t> order(n);
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::ranges::stable_sort(order, [&](std::size_t a, std::size_t b) { return scores[a] > scores[b]; });
    double total = 0;
    for (std::size_t i = 0; i < kept; ++i) total += mass[order[i]];
    return total;
}

/// Scores of one row; the shapes are those that scorers give.
std::vector<double> make_scores(int shape, std::size_t n, std::mt19937& random, const std::vector<double>& base) {
    std::uniform_real_distribution<double> uniform(0, 1);
    std::vector<double> s(padded(n), 7.0);
    for (std::size_t i = 0; i < n; ++i) {
        switch (shape) {
        case 0:
            s[i] = uniform(random);
            break; // nothing carries over
        case 1:
            s[i] = base[i] + 0.001 * uniform(random);
            break; // drifts
        case 2:
            s[i] = std::floor(5 * uniform(random));
            break; // five values
        case 3:
            s[i] = n - 1 - i < 64 ? 1e6 - static_cast<double>(n - 1 - i) : -infinity;
            break; // a window
        case 4:
            s[i] = i < 40 ? infinity : base[i];
            break; // many kept
        case 5:
            s[i] = 0;
            break; // all equal
        case 6:
            s[i] = i % 3 == 0 ? -infinity : i % 3 == 1 ? infinity : base[i];
            break;
        case 7:
            s[i] = i % 5 == 0 ? 1e9 : i % 7 == 0 ? -1e9 : base[i];
            break; // close together beside far outliers
        case 8:
            s[i] = 1 + 1e-15 * std::floor(9 * base[i]);
            break; // close together and tied
        case 9:
            s[i] = (i % 2 == 0 ? 1e308 : -1e308) * base[i];
            break; // further apart than a double can say
        case 10:
            s[i] = i % 4 == 0 ? 0.0 : 5e-324 * std::floor(100 * base[i]);
            break; // closer together than a double can divide by
        default:
            s[i] = (n % 7 == 0 ? 1e9 : 1) * base[i];
            break; // jumps
        }
    }
    return s;
}

} // namespace

TEST_CASE("The cut keeps what a stable sort keeps, row after row") {
    const int shape = GENERATE(range(0, 12));
    const std::size_t first = GENERATE(1, 17, 40, 60, 200, 900);
    const std::vector<double> retentions = GENERATE(std::vector<double>{0.25, 0.5, 0.75}, std::vector<double>{0.1},
                                                    std::vector<double>{0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0});
    std::mt19937 random(static_cast<unsigned>(shape * 1000) + static_cast<unsigned>(first));
    std::uniform_real_distribution<double> uniform(0, 1);
    std::vector<double> base(2000);
    for (double& b : base) b = uniform(random);
    Cutter ranker(retentions.size());
    for (std::size_t n = first; n < first + 40; ++n) {
        std::vector<double> scores = make_scores(shape, n, random, base);
        std::vector<double> mass(padded(n), 3.0);
        for (std::size_t i = 0; i < n; ++i) mass[i] = uniform(random);
        std::vector<std::size_t> kept;
        for (const double r : retentions) kept.push_back(kept_count(n, r));
        std::vector<double> got(retentions.size(), -1);
        const std::vector<double> untouched = scores;
        REQUIRE(ranker.cut(scores.data(), mass.data(), n, kept, got.data()) == Cutter::no_nan);
        for (std::size_t r = 0; r < kept.size(); ++r) {
            INFO("shape " << shape << ", n " << n << ", kept " << kept[r]);
            REQUIRE(got[r] == Approx(slow_cut(untouched, mass, n, kept[r])).epsilon(1e-12));
        }
    }
}

TEST_CASE("What was cut before does not change a sum's bits") {
    std::mt19937 random(5);
    std::uniform_real_distribution<double> uniform(0, 1);
    Cutter used(3);
    for (int repeat = 0; repeat < 200; ++repeat) {
        const std::size_t n = 1 + random() % (repeat % 2 == 0 ? 64 : 300);
        std::vector<double> scores(padded(n)), mass(padded(n));
        for (std::size_t i = 0; i < n; ++i) {
            scores[i] = repeat % 3 == 0 ? std::floor(20 * uniform(random)) : uniform(random);
            if (repeat % 5 == 0) scores[i] *= 1e-6;
            mass[i] = uniform(random);
        }
        const std::vector<std::size_t> kept{kept_count(n, 0.25), kept_count(n, 0.5), kept_count(n, 0.75)};
        std::vector<double> a(3), b(3);
        std::vector<double> copy = scores;
        used.cut(scores.data(), mass.data(), n, kept, a.data());
        Cutter(3).cut(copy.data(), mass.data(), n, kept, b.data());
        REQUIRE(a == b);
    }
}

TEST_CASE("A NaN score is found wherever it is, and never ranked") {
    for (const std::size_t n : {5, 64, 65, 500})
        for (const std::size_t at : {std::size_t{0}, n / 2, n - 1}) {
            std::vector<double> scores(padded(n), 1.0), mass(padded(n), 1.0);
            scores[at] = std::nan("");
            const std::vector<std::size_t> kept{kept_count(n, 0.5)};
            double sum = 0;
            CHECK(Cutter(1).cut(scores.data(), mass.data(), n, kept, &sum) == at);
        }
}

TEST_CASE("The kept count is the ceiling of the product") {
    CHECK(kept_count(64, 0.25) == 16);
    CHECK(kept_count(65, 0.25) == 17);
    CHECK(kept_count(3, 0.1) == 1);
    CHECK(kept_count(10, 1.0) == 10);
}
