// A scorer that a search can tune, and that breaks for one in twenty of the values that it is given, in every way that
// a plugin has: for bench/long_run. SPDX-License-Identifier: MIT
#include <evictlab/scorer.hpp>

#include <bit>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <stdexcept>
#include <vector>

struct OneInTwenty {
    double power = 0.5, weight = 1;
    int window = 8;

    static constexpr evictlab::Info info{
        .id = "one_in_twenty", .name = "One in twenty", .description = "recent attention by age, or a disaster"};
    static constexpr evictlab::Columns columns{"recent_attn", "cumulative_attn", "relative_pos"};
    static constexpr evictlab::Parameter<OneInTwenty> parameters[] = {
        {&OneInTwenty::power, {.key = "power", .help = "of the age", .min = 0, .max = 4, .evolvable = true}},
        {&OneInTwenty::weight, {.key = "weight", .help = "of all attention", .min = 0, .max = 9, .evolvable = true}},
        {&OneInTwenty::window, {.key = "window", .help = "newest kept", .min = 0, .max = 64, .evolvable = true}}};

    /// 0 .. 6: a way to break; above: none.
    unsigned habit() const {
        std::uint64_t hash = 1;
        for (const std::uint64_t part : {std::bit_cast<std::uint64_t>(power), std::bit_cast<std::uint64_t>(weight),
                                         static_cast<std::uint64_t>(window)}) {
            hash = (hash ^ part) * 0x9e3779b97f4a7c15U;
            hash ^= hash >> 29;
        }
        return static_cast<unsigned>((hash >> 8) % 140);
    }

    void score(evictlab::Head<OneInTwenty> head, std::span<double> out) const {
        const auto recent = head["recent_attn"], all = head["cumulative_attn"], age = head["relative_pos"];
        for (std::size_t i = 0; i < out.size(); ++i)
            out[i] = age[i] < window ? evictlab::keep : (recent[i] + weight * all[i]) / std::pow(age[i] + 1, power);
        break_down(out);
    }

    void break_down(std::span<double> out) const {
        static std::vector<std::vector<double>> hoard;
        volatile std::size_t far = out.size() + (1U << 14);
        switch (habit()) {
        case 0:
            std::abort();
        case 1:
            out[far] = 0;
            break;
        case 2:
            for (volatile bool forever = true; forever;) {
            }
            break;
        case 3:
            std::_Exit(3);
        case 4:
            out[0] = std::numeric_limits<double>::quiet_NaN();
            break;
        case 5:
            for (;;) hoard.emplace_back(1 << 20, 1.0);
        case 6:
            throw std::runtime_error("one of twenty");
        default:
            break;
        }
    }
};
EVICTLAB_SCORER(OneInTwenty)
