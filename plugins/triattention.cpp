// TriAttention: what a head's usual queries will give to a key from some distance on. Its program keeps one set for
// each layer and KV head, one for each KV head in all layers, or one for everything. SPDX-License-Identifier: MIT
#include <evictlab/scorer.hpp>

#include <algorithm>
#include <stdexcept>

namespace {

constexpr const char* authors = "TriAttention, the authors' program c3744ee";
constexpr evictlab::ParameterInfo about_future{.key = "future",
                                               .label = "future positions",
                                               .help = "the last of the distances 1, 2, 4, ... that are looked at",
                                               .min = 1,
                                               .max = 1 << 24};
constexpr evictlab::ParameterInfo about_peak{.key = "peak",
                                             .help = "the largest over the distances, in place of their mean"};
constexpr evictlab::ParameterInfo about_mean{.key = "mean",
                                             .help = "the mean over the query heads, in place of their largest"};
constexpr evictlab::ParameterInfo about_raw{.key = "raw",
                                            .help = "scores of query heads as they are, not standardized"};

std::size_t heads_of_all(evictlab::Model model) {
    for (std::size_t i = 1; i < model.size(); ++i)
        if (model[i].heads() != model[0].heads() || model[i].tokens() != model[0].tokens())
            throw std::runtime_error("layers with other numbers of KV heads or tokens have no set in common");
    return model[0].heads();
}

} // namespace

struct TriAttention {
    int future = 65536;
    bool peak = false, mean = false, raw = false;

    static constexpr evictlab::Info info{.id = "triattention",
                                         .name = "TriAttention",
                                         .description = "tri_score: one set a layer and KV head",
                                         .reference = authors};
    static constexpr evictlab::Columns columns{"tri_score:future={future}{peak?:peak|}{mean?:mean|}{raw?:raw|}"};
    static constexpr evictlab::Parameter<TriAttention> parameters[] = {{&TriAttention::future, about_future},
                                                                       {&TriAttention::peak, about_peak},
                                                                       {&TriAttention::mean, about_mean},
                                                                       {&TriAttention::raw, about_raw}};
    static constexpr evictlab::Preset presets[] = {
        {"paper",
         "the authors' runs, standardized, once, at the end of the prompt; by means of our own calibration",
         {},
         evictlab::Standing::published}};

    void score(evictlab::Head<TriAttention> head, std::span<double> out) const {
        std::ranges::copy(head["tri_score"], out.begin());
    }
};

struct TriAttentionByHead {
    int future = 65536;
    bool peak = false, mean = false, raw = false;

    static constexpr evictlab::Info info{.id = "triattention",
                                         .name = "TriAttention (per head)",
                                         .description = "the mean of tri_score over all layers: one set a KV head, the "
                                                        "same in every layer",
                                         .reference = authors};
    static constexpr evictlab::Columns columns{"tri_score:future={future}{peak?:peak|}{mean?:mean|}{raw?:raw|}"};
    static constexpr evictlab::Parameter<TriAttentionByHead> parameters[] = {
        {&TriAttentionByHead::future, about_future},
        {&TriAttentionByHead::peak, about_peak},
        {&TriAttentionByHead::mean, about_mean},
        {&TriAttentionByHead::raw, about_raw}};
    static constexpr evictlab::Preset presets[] = {
        {"per_head", "the default of the authors' runner", {}, evictlab::Standing::published}};

    void score(evictlab::Head<TriAttentionByHead> head, std::span<double> out) const {
        std::ranges::copy(head["tri_score"], out.begin());
    }

    void model_scores(evictlab::Model model, std::span<double* const> scores) const {
        const std::size_t cells = heads_of_all(model) * model[0].tokens();
        for (std::size_t at = 0; at < cells; ++at) {
            double sum = 0;
            for (const double* layer : scores) sum += layer[at];
            for (double* layer : scores) layer[at] = sum / static_cast<double>(scores.size());
        }
    }
};

struct TriAttentionUnion {
    int future = 65536;
    bool peak = false, raw = false;

    static constexpr evictlab::Info info{.id = "triattention",
                                         .name = "TriAttention (union)",
                                         .description = "the largest tri_score of any head and layer: one set for all",
                                         .reference = authors};
    static constexpr evictlab::Columns columns{"tri_score:future={future}{peak?:peak|}{raw?:raw|}"};
    static constexpr evictlab::Parameter<TriAttentionUnion> parameters[] = {{&TriAttentionUnion::future, about_future},
                                                                            {&TriAttentionUnion::peak, about_peak},
                                                                            {&TriAttentionUnion::raw, about_raw}};
    static constexpr evictlab::Preset presets[] = {
        {"union", "the default of the authors' class", {}, evictlab::Standing::published}};

    void score(evictlab::Head<TriAttentionUnion> head, std::span<double> out) const {
        std::ranges::copy(head["tri_score"], out.begin());
    }

    // The authors take the tokens among the K best of any query head, and of these the K highest by the maximum over
    // all heads. Whoever is there is in the first set: fewer than K have a higher maximum, so in its own head fewer,
    // too.
    void model_scores(evictlab::Model model, std::span<double* const> scores) const {
        const std::size_t heads = heads_of_all(model), n = model[0].tokens();
        for (std::size_t i = 0; i < n; ++i) {
            double highest = evictlab::drop;
            for (const double* layer : scores)
                for (std::size_t h = 0; h < heads; ++h) highest = std::max(highest, layer[h * n + i]);
            for (double* layer : scores)
                for (std::size_t h = 0; h < heads; ++h) layer[h * n + i] = highest;
        }
    }
};
EVICTLAB_SCORER(TriAttention, TriAttentionByHead, TriAttentionUnion)
