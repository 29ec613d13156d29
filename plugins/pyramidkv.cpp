// PyramidKV as a score: a window of the newest tokens that narrows, and attention that counts less, layer by layer. The
// paper's own mechanism is a budget a layer, which a score alone cannot express.
// SPDX-License-Identifier: MIT
#include <evictlab/scorer.hpp>

struct PyramidKV {
    int sinks = 4;
    double window = 48;
    double damping = 0.5;

    static constexpr evictlab::Info info{
        .id = "pyramidkv",
        .name = "PyramidKV",
        .description = "position < sinks: keep; age < window (2 - layer_ratio): the newer the higher; else "
                       "cumulative_attn (1 - damping layer_ratio)",
        .reference = "Cai et al. 2024, PyramidKV: Dynamic KV Cache Compression based on Pyramidal Information "
                     "Funneling, arXiv:2406.02069"};
    static constexpr evictlab::Columns columns{"position", "relative_pos", "cumulative_attn"};
    static constexpr evictlab::Parameter<PyramidKV> parameters[] = {
        {&PyramidKV::sinks, {.key = "sinks", .label = "sinks", .help = "first tokens always kept", .max = 1024}},
        {&PyramidKV::window,
         {.key = "window", .label = "window", .help = "half of the first layer's window, in tokens", .max = 1 << 20}},
        {&PyramidKV::damping,
         {.key = "damping", .label = "damping", .help = "share of the attention that the last layer loses", .max = 1}}};
    static constexpr evictlab::Preset presets[] = {
        {"seed", "the original benchmark's rule", {{"sinks", 4}, {"window", 48}, {"damping", 0.5}}}};

    void score(evictlab::Head<PyramidKV> head, std::span<double> out) const {
        const auto position = head["position"], age = head["relative_pos"], attention = head["cumulative_attn"];
        const double reach = window * (2 - head.layer_ratio()), weight = 1 - damping * head.layer_ratio();
        for (std::size_t i = 0; i < out.size(); ++i) {
            const double received = attention[i] * weight;
            const double scored = age[i] < reach ? 1e6 - age[i] : received;
            out[i] = position[i] < sinks ? evictlab::keep : scored;
        }
    }
};
EVICTLAB_SCORER(PyramidKV)
