// SPDX-License-Identifier: MIT
#include "framework/fitness/held_fitness.hpp"

#include <fmt/format.h>
#include <tbb/parallel_for.h>

#include <algorithm>
#include <numeric>

#include "base/error.hpp"

namespace evictlab {
namespace {

constexpr std::size_t sampled_heads = 16; // of kept_hash()

} // namespace

std::vector<std::size_t> indices_below(std::size_t end) {
    std::vector<std::size_t> all(end);
    std::iota(all.begin(), all.end(), std::size_t{0});
    return all;
}

std::optional<std::uint64_t> HeldFitness::kept_hash(const FitnessJob& job) const {
    const std::size_t heads = train_heads(), count = std::min(sampled_heads, heads);
    KeptHash hash;
    for (std::size_t i = 0; i < count; ++i) add_kept(job, spread_place(i, count, heads), hash);
    return hash.value();
}

void HeldFitness::check_memory(std::string_view whose, double needed, std::size_t limit, std::size_t train_traces) {
    const auto most = static_cast<double>(limit);
    if (needed <= most) return;
    throw Error(fmt::format(
        "the train and valid splits of {} would need {:.1f} GB of memory while searching; the limit is {:.1f} GB. "
        "Search on fewer patterns or documents a split, for instance {}",
        whose, needed / 1e9, most / 1e9,
        std::max(1, static_cast<int>(static_cast<double>(train_traces) * most / needed / 2))));
}

void HeldFitness::for_each_layer(std::span<const TracePtr> traces, const std::function<void(std::size_t)>& prepare,
                                 const std::function<void(std::size_t, const Trace&, std::size_t, std::size_t)>& make) {
    std::vector<std::pair<std::size_t, std::size_t>> layers;
    for (std::size_t t = 0; t < traces.size(); ++t)
        for (const std::size_t layer : traces[t]->held_layers()) layers.emplace_back(t, layer);
    prepare(layers.size());
    tbb::parallel_for(std::size_t{0}, layers.size(),
                      [&](std::size_t i) { make(i, *traces[layers[i].first], layers[i].second, layers[i].first); });
}

void HeldFitness::measure_units(
    std::span<const std::size_t> which, std::span<const std::size_t> units, std::size_t jobs_a_task, ErrorTable& errors,
    const std::function<void(std::size_t job, std::size_t unit, double* errors)>& measure) const {
    const std::size_t groups = (which.size() + jobs_a_task - 1) / jobs_a_task;
    tbb::parallel_for(std::size_t{0}, groups * units.size(), [&](std::size_t task) {
        const std::size_t unit = units[task % units.size()];
        const std::size_t first = task / units.size() * jobs_a_task;
        for (std::size_t i = first; i < std::min(which.size(), first + jobs_a_task); ++i)
            measure(which[i], unit, errors.of(which[i]) + unit * retentions_.size());
    });
}

} // namespace evictlab
