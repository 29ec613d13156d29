// Behaves as its parameter `mood` says: well where it is even, and the better the higher; each odd mood is another way
// to break. SPDX-License-Identifier: MIT
#include <evictlab/scorer.hpp>

#include <cstdlib>
#include <limits>
#include <stdexcept>

struct Moody {
    int mood = 0;

    static constexpr evictlab::Info info{.id = "moody", .name = "Moody", .description = "depends on its mood"};
    static constexpr evictlab::Columns columns{"recent_attn", "relative_pos"};
    static constexpr evictlab::Parameter<Moody> parameters[] = {
        {&Moody::mood, {.key = "mood", .help = "how it behaves", .min = 0, .max = 7, .evolvable = true}}};

    void prepare() const {
        if (mood == 1) std::abort();
    }
    void score(evictlab::Head<Moody> head, std::span<double> out) const {
        const auto attention = head["recent_attn"], age = head["relative_pos"];
        if (mood == 3) std::_Exit(3);
        if (mood == 5) throw std::runtime_error("in no mood");
        for (std::size_t i = 0; i < out.size(); ++i) out[i] = attention[i] / (age[i] + 8 - mood);
        if (mood == 7) out[0] = std::numeric_limits<double>::quiet_NaN();
    }
};
EVICTLAB_SCORER(Moody)
