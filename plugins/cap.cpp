// CAPKV: values that others do not span, weighed by how the queries to come lie to their keys.
// SPDX-License-Identifier: MIT
#include <evictlab/scorer.hpp>

#include <algorithm>
#include <stdexcept>

struct CapKv {
    int tau = 5, future = 512, sinks = 4;

    static constexpr evictlab::Info info{.id = "cap",
                                         .name = "CAPKV",
                                         .description = "capacity; the sinks above all",
                                         .reference = "CAPKV, arXiv:2604.25975; NVIDIA kvpress 0.5.5, CapPress"};
    static constexpr evictlab::Columns columns{"capacity:tau={tau}:future={future}:sinks={sinks}"};
    static constexpr evictlab::Parameter<CapKv> parameters[] = {
        {&CapKv::tau, {.key = "tau", .help = "sharpness of the weights", .max = 1000}},
        {&CapKv::future,
         {.key = "future", .label = "future positions", .help = "over which is averaged", .min = 1, .max = 1 << 20}},
        {&CapKv::sinks, {.key = "sinks", .label = "sinks", .help = "first tokens protected", .max = 1024}}};
    static constexpr evictlab::Preset presets[] = {
        {"kvpress", "kvpress's defaults", {}, evictlab::Standing::published}};

    void score(evictlab::Batch<CapKv> batch, std::span<double> scores) const {
        const auto protected_tokens = static_cast<std::size_t>(sinks);
        if (batch.tokens() <= protected_tokens) throw std::invalid_argument("needs more tokens than sinks");
        double highest = 0;
        for (std::size_t h = 0; h < batch.heads(); ++h) {
            const auto out = batch.row(scores, h);
            std::ranges::copy(batch.head(h)["capacity"], out.begin());
            highest = std::max(highest, std::ranges::max(out.subspan(protected_tokens)));
        }
        for (std::size_t h = 0; h < batch.heads(); ++h)
            std::ranges::fill(batch.row(scores, h).first(protected_tokens), 1 + highest);
    }
};
EVICTLAB_SCORER(CapKv)
