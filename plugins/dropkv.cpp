// DropKV: how much the output changes if a token alone were gone. SPDX-License-Identifier: MIT
#include <evictlab/scorer.hpp>

#include <algorithm>
#include <stdexcept>

#include "pooling.hpp"

struct DropKv {
    int window = 32, kernel = 7;

    static constexpr evictlab::Info info{.id = "dropkv",
                                         .name = "DropKV",
                                         .description = "leave_one_out, pooled along all tokens; the window above all",
                                         .reference = "DropKV, NVIDIA kvpress pull request 285 (DropKVPress)"};
    static constexpr evictlab::Columns columns{"leave_one_out:{window}"};
    static constexpr evictlab::Parameter<DropKv> parameters[] = {
        {&DropKv::window, {.key = "window", .label = "window", .help = "latest queries", .min = 1, .max = 4096}},
        {&DropKv::kernel,
         {.key = "kernel", .label = "kernel", .help = "of the pooling, odd, in tokens", .min = 1, .max = 255}}};
    static constexpr evictlab::Preset presets[] = {
        {"kvpress", "the pull request's defaults", {}, evictlab::Standing::published}};

    void prepare() {
        if (kernel % 2 == 0) throw std::invalid_argument("kernel must be odd");
    }

    // The window's own columns are scored too, and leak by the pooling into their neighbours before it.
    void score(evictlab::Head<DropKv> head, std::span<double> out) const {
        std::ranges::copy(head["leave_one_out"], out.begin());
        average_pool(out, static_cast<std::size_t>(kernel));
        const double highest = std::ranges::max(out);
        std::ranges::fill(out.last(std::min(out.size(), static_cast<std::size_t>(window))), 1 + highest);
    }
};
EVICTLAB_SCORER(DropKv)
