// A scorer with some parameters to tune. REBUILT: another build of it, which scores otherwise. NEIGHBOUR: a library
// beside it has a part of its rule. SPDX-License-Identifier: MIT
#include <evictlab/scorer.hpp>

#ifdef NEIGHBOUR
extern "C" double neighbour(double value);
#else
static double neighbour(double value) {
#ifdef REBUILT
    return -value;
#else
    return value;
#endif
}
#endif

struct Tunable {
    double share = 0.5, recency = 0.1, penalty = 0.2;

    static constexpr evictlab::Info info{.id = "tunable", .name = "Tunable", .description = "a weighted sum"};
    static constexpr evictlab::Columns columns{"cumulative_attn", "recent_attn", "relative_pos", "key_norm"};
    static constexpr evictlab::Parameter<Tunable> parameters[] = {
        {&Tunable::share, {.key = "share", .help = "of recent_attn", .evolvable = true}},
        {&Tunable::recency, {.key = "recency", .help = "weight of being new", .evolvable = true}},
        {&Tunable::penalty, {.key = "penalty", .help = "weight of the key norm", .evolvable = true}}};

    void score(evictlab::Head<Tunable> head, std::span<double> out) const {
        const auto cumulative = head["cumulative_attn"], recent = head["recent_attn"];
        const auto age = head["relative_pos"], norm = head["key_norm"];
        for (std::size_t i = 0; i < out.size(); ++i)
            out[i] =
                neighbour((1 - share) * cumulative[i] + share * recent[i] + recency / (1 + age[i])) - penalty * norm[i];
    }
};
EVICTLAB_SCORER(Tunable)
