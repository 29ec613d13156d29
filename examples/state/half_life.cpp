// half_life: recent attention, which counts half after so many tokens. The weights are computed once an instance.
// SPDX-License-Identifier: MIT
#include <evictlab/scorer.hpp>

#include <algorithm>
#include <array>
#include <cmath>

struct HalfLife {
    double half_life = 64;

    static constexpr evictlab::Info info{.id = "half_life",
                                         .name = "HalfLife",
                                         .version = "1.0.0",
                                         .description = "position < 4: keep; else recent_attn * 2^(-age / half_life)",
                                         .reference = ""};
    static constexpr evictlab::Columns columns{"position", "relative_pos", "recent_attn"};
    static constexpr evictlab::Parameter<HalfLife> parameters[] = {
        {&HalfLife::half_life,
         {.key = "half_life", .help = "tokens after which attention counts half", .min = 1, .max = 4096}}};

    void prepare() { // once, when the parameters are known
        for (std::size_t age = 0; age < weights.size(); ++age)
            weights[age] = std::exp2(-static_cast<double>(age) / half_life);
    }

    void score(evictlab::Head<HalfLife> head, std::span<double> out) const {
        const auto position = head["position"], age = head["relative_pos"], attention = head["recent_attn"];
        for (std::size_t i = 0; i < out.size(); ++i) {
            const auto place = std::min(static_cast<std::size_t>(age[i]), weights.size() - 1);
            out[i] = position[i] < 4 ? evictlab::keep : attention[i] * weights[place];
        }
    }

    std::array<double, 4096> weights{};
};
EVICTLAB_SCORER(HalfLife)
