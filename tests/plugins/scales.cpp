// A scorer with a parameter of each kind and scale that a search moves in a way of its own.
// SPDX-License-Identifier: MIT
#include <evictlab/scorer.hpp>

struct Scales {
    double share = 0.25, power = 1, rate = 0.5, wide = 2;
    int window = 8;
    bool newest = false;

    static constexpr evictlab::Info info{.id = "scales", .name = "Scales"};
    static constexpr evictlab::Columns columns{"relative_pos", "cumulative_attn"};
    static constexpr evictlab::Parameter<Scales> parameters[] = {
        {&Scales::share, {.key = "share", .help = "in a range of its size"}},
        {&Scales::power, {.key = "power", .help = "of either sign", .min = -4, .max = 4}},
        {&Scales::rate, {.key = "rate", .help = "of any size", .min = 0.001, .max = 10, .log_scale = true}},
        {&Scales::wide, {.key = "wide", .help = "far below its bound", .min = -1e6, .max = 1e6}},
        {&Scales::window, {.key = "window", .help = "tokens", .min = 1, .max = 64}},
        {&Scales::newest, {.key = "newest", .help = "instead of attention"}}};

    void score(evictlab::Head<Scales> head, std::span<double> out) const {
        const auto age = head["relative_pos"], attention = head["cumulative_attn"];
        for (std::size_t i = 0; i < out.size(); ++i) out[i] = newest ? -age[i] : share * attention[i];
    }
};
EVICTLAB_SCORER(Scales)
