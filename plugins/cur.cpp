// CUR: tokens whose key and value are long for their neighbourhood: the leverage of a CUR decomposition, approximated.
// SPDX-License-Identifier: MIT
#include <evictlab/scorer.hpp>

#include <algorithm>

struct Cur {
    int sinks = 4, window = 16;
    bool keys = true, values = true, product = true;

    static constexpr evictlab::Info info{
        .id = "cur",
        .name = "CUR",
        .description = "key_share value_share, as a share of the head; the sinks have all of it",
        .reference = "Sengupta et al. 2025, CurDKV, arXiv:2509.15038; NVIDIA kvpress 0.5.5, CURPress"};
    static constexpr evictlab::Columns columns{"key_share:{window}", "value_share:{window}"};
    static constexpr evictlab::Parameter<Cur> parameters[] = {
        {&Cur::sinks, {.key = "sinks", .label = "sinks", .help = "first tokens that have the share 1", .max = 1024}},
        {&Cur::window,
         {.key = "window", .label = "window", .help = "positions of a block; 0: no division", .max = 1 << 20}},
        {&Cur::keys, {.key = "keys", .help = "the keys count"}},
        {&Cur::values, {.key = "values", .help = "the values count"}},
        {&Cur::product, {.key = "product", .help = "their product where both count, else their mean"}}};
    static constexpr evictlab::Preset presets[] = {
        {"kvpress", "kvpress's defaults: kv_product", {}, evictlab::Standing::published}};

    void score(evictlab::Head<Cur> head, std::span<double> out) const {
        const auto key = head["key_share"], value = head["value_share"];
        double total = 0;
        for (std::size_t i = 0; i < out.size(); ++i) total += out[i] = leverage(key[i], value[i]);
        for (std::size_t i = 0; i < out.size() && total > 0; ++i) out[i] /= total;
        std::ranges::fill(out.first(std::min(out.size(), static_cast<std::size_t>(sinks))), 1.0);
    }

    double leverage(double key, double value) const {
        if (keys && values) return product ? key * value : (key + value) / 2;
        return values ? value : keys ? key : 0;
    }
};
EVICTLAB_SCORER(Cur)
