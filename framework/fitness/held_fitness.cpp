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
    const std::size_t heads = layout(SearchSplit::train).head_documents.size();
    std::vector<std::size_t> sample(std::min(sampled_heads, heads));
    for (std::size_t i = 0; i < sample.size(); ++i) sample[i] = spread_place(i, sample.size(), heads);
    return elsewhere_ ? elsewhere_->hash_kept(job, sample) : hash_kept(job, sample, 0);
}

std::uint64_t HeldFitness::hash_kept(const FitnessJob& job, std::span<const std::size_t> heads,
                                     std::uint64_t hash) const {
    KeptHash all(hash);
    for (const std::size_t head : heads) add_kept(job, head, all);
    return all.value();
}

const UnitLayout& HeldFitness::layout(SearchSplit split) const {
    return elsewhere_ ? elsewhere_->layout(split) : layouts_[static_cast<std::size_t>(split)];
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

void HeldFitness::measure(const UnitPart& part, std::span<const FitnessJob> jobs, std::span<const std::size_t> which,
                          UnitErrors& errors) const {
    if (elsewhere_) return elsewhere_->measure(part, jobs, which, errors);
    const std::size_t groups = (which.size() + jobs_a_task_ - 1) / jobs_a_task_;
    tbb::parallel_for(std::size_t{0}, groups * part.units.size(), [&](std::size_t task) {
        const std::size_t unit = part.units[task % part.units.size()];
        const std::size_t first = task / part.units.size() * jobs_a_task_;
        for (std::size_t i = first; i < std::min(which.size(), first + jobs_a_task_); ++i)
            measure_unit(part, unit, jobs[which[i]], errors.of(which[i]) + unit * retentions_.size());
    });
}

} // namespace evictlab
