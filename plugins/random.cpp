// Random: the row that every scorer must beat. Counter-based on (seed, layer, head, position), so neither the order of
// calls nor the number of threads matters. The preset `seed` is the original benchmark's rule instead, which is hardly
// random: its generator's step is lost in the shift, so that all tokens but the kept ones tie.
// SPDX-License-Identifier: MIT
#include <evictlab/scorer.hpp>

struct Random {
    int seed = 0;
    bool original = false;

    static constexpr evictlab::Info info{
        .id = "random",
        .name = "Random",
        .description = "a uniform number in [0, 1) from (seed, layer, head, position)",
        .reference =
            "SplitMix64's mixing function: Steele et al. 2014, Fast Splittable Pseudorandom Number Generators"};
    static constexpr evictlab::Columns columns{"position", "relative_pos"};
    static constexpr evictlab::Parameter<Random> parameters[] = {
        {&Random::seed,
         {.key = "seed",
          .label = "seed",
          .help = "another seed, other numbers",
          .max = 2147483647,
          .evolvable = false}},
        {&Random::original,
         {.key = "original", .label = "original rule", .help = "the original benchmark's rule", .evolvable = false}}};
    // (42 * 6364136223846793005 + position) >> 33 is the same for every position that a sequence can have.
    static constexpr evictlab::Preset presets[] = {
        {"seed",
         "the original benchmark's rule: sinks, the newest 4, then seed's hash",
         {{"seed", 42}, {"original", 1}},
         evictlab::Standing::own,
         nullptr,
         "if(position < 4, keep, if(relative_pos < 4, 1e6 - relative_pos, 0.49002167163416743))"}};

    static std::uint64_t mix(std::uint64_t z) {
        z += 0x9E3779B97F4A7C15;
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
        return z ^ (z >> 31);
    }

    void score(evictlab::Head<Random> head, std::span<double> out) const {
        const auto position = head["position"], age = head["relative_pos"];
        const std::uint64_t number = static_cast<std::uint64_t>(seed);
        if (original) {
            for (std::size_t i = 0; i < out.size(); ++i) {
                const auto hash = number * 6364136223846793005 + static_cast<std::uint64_t>(position[i]);
                const double scored = age[i] < 4 ? 1e6 - age[i] : static_cast<double>(hash >> 33) / 2147483648.0;
                out[i] = position[i] < 4 ? evictlab::keep : scored;
            }
            return;
        }
        const std::uint64_t key = mix(mix(mix(number) ^ head.layer()) ^ head.index());
        for (std::size_t i = 0; i < out.size(); ++i)
            out[i] = static_cast<double>(mix(key ^ static_cast<std::uint64_t>(position[i])) >> 40) * 0x1p-24;
    }
};
EVICTLAB_SCORER(Random)
