// Selection at an engine's grain. SPDX-License-Identifier: MIT
#include "capi/selection.hpp"

#include <fmt/format.h>
#include <tbb/parallel_for.h>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <optional>

#include "base/error.hpp"
#include "capi/guard.hpp"
#include "capi/layer_scores.hpp"
#include "capi/token_positions.hpp"
#include "framework/cut/budget.hpp"
#include "framework/scorers/shape_refusal.hpp"

using namespace evictlab;

namespace {

template <class Kind>
Kind kind_of(std::uint32_t number, std::uint32_t kinds, const char* name) {
    if (number >= kinds)
        throw UsageError(fmt::format("shape.{} is {}, but must be from 0 to {}", name, number, kinds - 1));
    return static_cast<Kind>(number);
}

/// One layer, until all went well.
struct Answer {
    evl_selection into{};
    std::size_t tokens = 0;
    capi::Selected selected;
};

Answer select(const evl_scorer* scorer, const evl_layer* layer, const evl_selection* selection) {
    capi::require(scorer, "scorer");
    capi::require(layer, "layer");
    Answer answer;
    answer.into = capi::checked(selection, "selection");
    capi::Selected::check(answer.into);
    const Shape shape = capi::shape_of(answer.into, *scorer);
    capi::refuse_layers_alone(scorer);
    if (shape.granularity == Granularity::model)
        throw UsageError(fmt::format("what scorer '{}' keeps of a layer is known once all are scored, by "
                                     "evl_model_open_shape, evl_model_add and evl_model_select",
                                     scorer->scorer.label()));
    if (shape.granularity == Granularity::layer && !capi::heads_alike(capi::checked(layer)))
        throw UsageError("layer.position differs from head to head, and heads that keep one set must cache the same "
                         "tokens");
    capi::with_input(*scorer, layer, [&](const ScorerRun& run, const LayerInput& input) {
        answer.tokens = input.tokens;
        LayerSelection chosen(run, input);
        for (const double removed : capi::removed_fractions(answer.into, input.tokens)) {
            chosen.select(removed);
            answer.selected.add(chosen.kept(shape), chosen.scores());
        }
    });
    return answer;
}

} // namespace

namespace evictlab::capi {

evl_selection checked(const evl_selection* given, const char* name) {
    require(given, name);
    return known_part(*given, name);
}

Shape shape_of(const evl_shape& as_given) {
    const evl_shape given = known_part(as_given, "shape");
    Shape shape;
    shape.granularity = kind_of<Granularity>(given.granularity, 3, "granularity");
    shape.join = kind_of<Join>(given.join, 4, "join");
    shape.block_score = kind_of<BlockScore>(given.block_score, 2, "block_score");
    shape.block = std::max<std::size_t>(1, given.block);
    shape.sinks = given.sinks;
    shape.recent = given.recent;
    check_shape(shape);
    return shape;
}

Shape shape_of(const evl_selection& selection, const evl_scorer& scorer) {
    if (!selection.shape) return {};
    const Shape shape = shape_of(*selection.shape);
    if (const std::string why = shape_refusal(scorer.scorer, shape); !why.empty())
        throw UsageError(fmt::format("scorer '{}' {}", scorer.scorer.label(), why));
    return shape;
}

std::vector<double> removed_fractions(const evl_selection& selection, std::size_t n) {
    std::vector<double> removed;
    for (std::size_t b = 0; b < selection.budgets; ++b) {
        if (!selection.removed && !selection.keep)
            throw UsageError("neither selection.removed nor selection.keep says how much stays");
        if (!selection.removed && selection.keep[b] == 0) throw UsageError("selection.keep is 0, but must be above 0");
        removed.push_back(selection.removed ? selection.removed[b] : removed_fraction_for_kept(n, selection.keep[b]));
        check_removed(removed.back());
    }
    return removed;
}

void Selected::add(KeptSets sets, std::span<const double> scores) {
    sets_.push_back(std::move(sets));
    scores_.emplace_back(scores.begin(), scores.end());
}

void Selected::check(const evl_selection& into) {
    if (into.places && !into.counts)
        throw UsageError("selection.counts is NULL, which tells how many places there are");
}

void Selected::write(const evl_selection& into, std::size_t tokens) const {
    for (std::size_t b = 0; b < sets_.size(); ++b) {
        const std::size_t heads = sets_[b].size();
        for (std::size_t h = 0; h < heads; ++h) {
            const std::vector<std::uint32_t>& set = sets_[b][h];
            const std::size_t row = (b * heads + h) * tokens;
            if (into.kept) std::fill_n(into.kept + row, tokens, std::uint8_t{0});
            for (const std::uint32_t i : set)
                if (into.kept) into.kept[row + i] = 1;
            if (into.places) std::ranges::copy(set, into.places + row);
            if (into.counts) into.counts[b * heads + h] = set.size();
        }
        if (into.scores) std::ranges::copy(scores_[b], into.scores + b * heads * tokens);
    }
}

} // namespace evictlab::capi

extern "C" {

evl_status evl_scorer_fits(const evl_scorer* scorer, const evl_shape* shape, evl_failure* failure) {
    return capi::guarded(failure, [&] {
        capi::require(scorer, "scorer");
        capi::require(shape, "shape");
        evl_selection asked{};
        asked.shape = shape;
        (void)capi::shape_of(asked, *scorer);
    });
}

evl_status evl_scorer_select(const evl_scorer* scorer, const evl_layer* layer, const evl_selection* selection,
                             evl_failure* failure) {
    return capi::guarded(failure, [&] {
        const Answer answer = select(scorer, layer, selection);
        answer.selected.write(answer.into, answer.tokens);
    });
}

evl_status evl_scorer_select_batch(const evl_scorer* scorer, const evl_layer* const* layers,
                                   const evl_selection* const* selections, uint64_t count, evl_failure* failure) {
    return capi::guarded(failure, [&] {
        if (count == 0) return;
        capi::require(layers, "layers");
        capi::require(selections, "selections");
        std::vector<std::optional<Answer>> answers(count);
        std::vector<std::exception_ptr> failed(count);
        tbb::parallel_for(std::size_t{0}, std::size_t{count}, [&](std::size_t i) {
            try {
                answers[i] = select(scorer, layers[i], selections[i]);
            } catch (...) {
                failed[i] = std::current_exception();
            }
        });
        for (const std::exception_ptr& error : failed)
            if (error) std::rethrow_exception(error);
        for (const auto& answer : answers) answer->selected.write(answer->into, answer->tokens);
    });
}

} // extern "C"
