// H2O whose sums are corrected for position: a late token has had fewer queries to collect attention from.
// SPDX-License-Identifier: MIT
#include <evictlab/scorer.hpp>

#include <cmath>

struct PositionCorrectedH2O {
    int sinks = 4;
    int window = 32;
    double power = 0.3;

    static constexpr evictlab::Info info{
        .id = "position_corrected_h2o",
        .name = "Position-corrected H2O",
        .description = "position < sinks or age < window: keep; else cumulative_attn (position + 1)^power",
        .reference = "the original benchmark, after Zhang et al. 2023, arXiv:2306.14048",
        .formula = "if(position < 4, keep, if(relative_pos < 32, keep, cumulative_attn*(position + 1)^0.3))"};
    static constexpr evictlab::Columns columns{"position", "relative_pos", "cumulative_attn"};
    static constexpr evictlab::Parameter<PositionCorrectedH2O> parameters[] = {
        {&PositionCorrectedH2O::sinks,
         {.key = "sinks", .label = "sinks", .help = "first tokens always kept", .max = 1024}},
        {&PositionCorrectedH2O::window,
         {.key = "window", .label = "window", .help = "newest tokens always kept, in tokens", .max = 1 << 20}},
        {&PositionCorrectedH2O::power,
         {.key = "power", .label = "power", .help = "of the position in the correction", .max = 4}}};

    void score(evictlab::Head<PositionCorrectedH2O> head, std::span<double> out) const {
        const auto position = head["position"], age = head["relative_pos"], attention = head["cumulative_attn"];
        for (std::size_t i = 0; i < out.size(); ++i) {
            const bool kept = position[i] < sinks || age[i] < window;
            out[i] = kept ? evictlab::keep : attention[i] * std::pow(position[i] + 1, power);
        }
    }
};
EVICTLAB_SCORER(PositionCorrectedH2O)
