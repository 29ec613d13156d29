// A scorer whose parameters have eight settings, of which it refuses two.
// SPDX-License-Identifier: MIT
#include <evictlab/scorer.hpp>

#include <stdexcept>

struct SmallSpace {
    int step = 1;
    bool newest = false;

    static constexpr evictlab::Info info{.id = "small_space", .name = "Small space"};
    static constexpr evictlab::Columns columns{"relative_pos", "cumulative_attn"};
    static constexpr evictlab::Parameter<SmallSpace> parameters[] = {
        {&SmallSpace::step, {.key = "step", .help = "tokens a step; 3 makes prepare() throw", .min = 1, .max = 4}},
        {&SmallSpace::newest, {.key = "newest", .help = "instead of attention"}}};

    void prepare() {
        if (step == 3) throw std::invalid_argument("three steps are too many");
    }

    void score(evictlab::Head<SmallSpace> head, std::span<double> out) const {
        const auto age = head["relative_pos"], attention = head["cumulative_attn"];
        for (std::size_t i = 0; i < out.size(); ++i)
            out[i] = newest ? -static_cast<int>(age[i] / step) : attention[i] / (1 + static_cast<int>(age[i] / step));
    }
};
EVICTLAB_SCORER(SmallSpace)
