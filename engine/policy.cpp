// SPDX-License-Identifier: MIT
#include "engine/policy.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <utility>

#include "base/error.hpp"
#include "base/text/shown.hpp"

namespace evictlab::engine {

ScorerPolicy::ScorerPolicy(Scorer scorer, const Cut& cut, bool again) : scorer_(std::move(scorer)), cut_(cut) {
    check_scorer(scorer_, cut.shape, again);
    if (again) carried_ = carried_for(scorer_, cut.shape);
}

KeptCells ScorerPolicy::choose(const Cached& cached, const Budget& budget) const {
    return engine::choose(scorer_, cached, cut_, budget);
}

void ScorerPolicy::begin(Sequence& to, const Cached& from, const KeptCells& kept) const {
    to.become(from, kept, cut_.shape.granularity, carried_);
}

void ScorerPolicy::evict(Sequence& sequence, std::size_t keep, Costs& costs) const {
    const Stopwatch reading;
    const CacheState state = sequence.state();
    const Cached cached = sequence.cached(state);
    costs.rewriting += reading.spent();
    const Stopwatch scoring;
    const KeptCells kept = choose(cached, {0, keep});
    costs.scoring += scoring.spent();
    const Stopwatch writing;
    sequence.become(cached, kept, cut_.shape.granularity, carried_);
    costs.rewriting += writing.spent();
    ++costs.evictions;
}

bool ContextShift::is_named_by(const std::string& text) {
    return text == name || text.starts_with(std::string(name) + ":");
}

ContextShift::ContextShift(const std::string& text, const Model& model) : text_(text) {
    const std::string parameter = std::string(name) + ":n_keep=";
    if (text == name) {
        if (llama_vocab_get_add_bos(llama_model_get_vocab(model.get()))) n_keep_ = 1; // as llama.cpp's programs do
    } else {
        const std::string typed = text.starts_with(parameter) ? text.substr(parameter.size()) : "";
        const auto [end, error] = std::from_chars(typed.data(), typed.data() + typed.size(), n_keep_);
        if (typed.empty() || error != std::errc{} || end != typed.data() + typed.size())
            throw UsageError(fmt::format("scorer '{}' is not known: {} has one parameter, a whole number, as {}4",
                                         text::line(text, 100), name, parameter));
    }
    if (!model.layout().sliding.empty())
        throw UsageError(fmt::format("scorer '{}' is refused: llama.cpp does not shift the context of a model with "
                                     "sliding-window layers",
                                     text::line(text, 100)));
}

std::size_t ContextShift::first_of(std::size_t keep) const { return std::min(n_keep_, keep - 1); }

KeptCells ContextShift::choose(const Cached& cached, const Budget& budget) const {
    const std::size_t n = cached.state.cells(), keep = budget.kept(n), first = first_of(keep);
    std::vector<std::uint32_t> stay;
    for (std::size_t i = 0; i < n; ++i)
        if (i < first || i >= n - (keep - first)) stay.push_back(static_cast<std::uint32_t>(i));
    return KeptCells(cached.model.layout().full.size(),
                     std::vector<std::vector<std::uint32_t>>(cached.state.kv_heads(), stay));
}

void ContextShift::begin(Sequence& to, const Cached& from, const KeptCells& kept) const {
    to.become(from, kept, Granularity::model);
    const std::size_t keep = kept.front().front().size(), n = from.state.cells();
    if (keep < n) to.close_gap(first_of(keep), n - keep);
}

void ContextShift::evict(Sequence& sequence, std::size_t keep, Costs& costs) const {
    const Stopwatch writing;
    sequence.shift(first_of(keep), sequence.cells() - keep);
    costs.rewriting += writing.spent();
    ++costs.evictions;
}

} // namespace evictlab::engine
