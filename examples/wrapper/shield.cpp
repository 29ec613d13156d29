// shield(SCORER): the newest tokens stay, the scorer inside ranks the rest.
// SPDX-License-Identifier: MIT
#include <evictlab/scorer.hpp>

struct Shield {
    int window = 16;

    static constexpr evictlab::Info info{.id = "shield",
                                         .name = "Shield",
                                         .version = "1.0.0",
                                         .description = "age < window: keep; else the scores of the scorer inside",
                                         .reference = ""};
    static constexpr evictlab::Columns columns{"base_score", "relative_pos"};
    static constexpr evictlab::Parameter<Shield> parameters[] = {
        {&Shield::window, {.key = "window", .help = "newest tokens that always stay", .max = 4096}}};

    void score(evictlab::Head<Shield> head, std::span<double> out) const {
        const auto base = head["base_score"], age = head["relative_pos"];
        for (std::size_t i = 0; i < out.size(); ++i) out[i] = age[i] < window ? evictlab::keep : base[i];
    }
};
EVICTLAB_SCORER(Shield)
