// A published method in one file: what is published of it stands in its presets alone.
// SPDX-License-Identifier: MIT
#include <evictlab/scorer.hpp>

struct Toy {
    double share = 0.5;

    static constexpr evictlab::Info info{.id = "toy",
                                         .name = "Toy",
                                         .description = "the attention of the latest queries and of replayed ones",
                                         .reference = "Toy et al. 2031, On Toys"};
    static constexpr evictlab::Columns columns{"window_attn:64:pool=5:avg", "replayed_attn:all:rms"};
    static constexpr evictlab::Parameter<Toy> parameters[] = {
        {&Toy::share, {.key = "share", .help = "of the replayed queries"}}};
    static constexpr evictlab::Preset presets[] = {
        {"paper",
         "as the paper has it",
         {{"share", 0.4}},
         evictlab::Standing::published,
         nullptr,
         "0.6*window_attn:64:pool=5:avg + 0.4*replayed_attn:all:rms"},
        {"late", "the same a year later", {{"share", 0.2}}, evictlab::Standing::published_by_name},
        {"mine", "nobody's", {{"share", 0.3}}}};

    void score(evictlab::Head<Toy> head, std::span<double> out) const {
        const auto window = head["window_attn"], replayed = head["replayed_attn"];
        for (std::size_t i = 0; i < out.size(); ++i) out[i] = (1 - share) * window[i] + share * replayed[i];
    }
};
EVICTLAB_SCORER(Toy)
