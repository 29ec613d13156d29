// TriAttention: what a head's usual queries will give to a key from some distance on. SPDX-License-Identifier: MIT
#include <evictlab/scorer.hpp>

#include <algorithm>

struct TriAttention {
    int future = 65536;
    bool peak = false, mean = false, raw = false;

    static constexpr evictlab::Info info{.id = "triattention",
                                         .name = "TriAttention",
                                         .description = "tri_score",
                                         .reference =
                                             "TriAttention, the authors' program c3744ee, one set a layer and KV head"};
    static constexpr evictlab::Columns columns{"tri_score:future={future}{peak?:peak|}{mean?:mean|}{raw?:raw|}"};
    static constexpr evictlab::Parameter<TriAttention> parameters[] = {
        {&TriAttention::future,
         {.key = "future",
          .label = "future positions",
          .help = "the last of the distances 1, 2, 4, ... that are looked at",
          .min = 1,
          .max = 1 << 24}},
        {&TriAttention::peak, {.key = "peak", .help = "the largest over the distances, in place of their mean"}},
        {&TriAttention::mean, {.key = "mean", .help = "the mean over the query heads, in place of their largest"}},
        {&TriAttention::raw, {.key = "raw", .help = "scores of query heads as they are, not standardized"}}};
    static constexpr evictlab::Preset presets[] = {
        {"paper",
         "the authors' runs, standardized, once, at the end of the prompt; by means of our own calibration",
         {},
         evictlab::Standing::published}};

    void score(evictlab::Head<TriAttention> head, std::span<double> out) const {
        std::ranges::copy(head["tri_score"], out.begin());
    }
};
EVICTLAB_SCORER(TriAttention)
