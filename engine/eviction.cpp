// SPDX-License-Identifier: MIT
#include "engine/eviction.hpp"

#include <fmt/format.h>
#include <tbb/parallel_for.h>
#include <tbb/task_arena.h>

#include <algorithm>
#include <cmath>

#include "base/error.hpp"
#include "engine/output_projection.hpp"
#include "framework/attention/wov_norms.hpp"
#include "framework/cut/top_k.hpp"

namespace evictlab::engine {
namespace {

/// A layer as libevictlab is shown it, with all that the view refers to. Not movable.
class ShownLayer {
public:
    ShownLayer(const Scorer& scorer, const Sequence& sequence, const CacheState& state, std::size_t number)
        : keys_(state.keys(number)), values_(state.values(number)) {
        const Model& model = sequence.model();
        const std::size_t n = state.cells(), dim = state.dim();
        if (model.interleaved_rope())
            for (std::size_t at = 0; at < keys_.size(); at += dim) to_half_split({keys_.data() + at, dim});
        layer_.struct_size = sizeof layer_;
        layer_.layer = static_cast<std::uint32_t>(number);
        layer_.num_layers = static_cast<std::uint32_t>(model.layers());
        layer_.query_heads = static_cast<std::uint32_t>(model.query_heads());
        layer_.kv_heads = static_cast<std::uint32_t>(model.kv_heads());
        layer_.tokens = static_cast<std::uint32_t>(n);
        layer_.dim = static_cast<std::uint32_t>(dim);
        layer_.k = keys_.data();
        layer_.v = values_.data();
        layer_.k_head_stride = layer_.v_head_stride = static_cast<std::ptrdiff_t>(n * dim);
        layer_.k_token_stride = layer_.v_token_stride = static_cast<std::ptrdiff_t>(dim);
        show_attention(sequence.tap().attention(number));
        show_queries(sequence.tap(), number);
        if (!sequence.token_types().empty()) layer_.token_type = sequence.token_types().data();
        if (scorer.needs().wov_norm != 0) show_norms(model, number);
    }
    ShownLayer(const ShownLayer&) = delete;
    const evl_layer& layer() const { return layer_; }

private:
    void show_attention(const LayerAttention& attention) {
        for (std::size_t t = 0; t < layer_.dim / 2; ++t)
            inv_freq_.push_back(static_cast<float>(
                static_cast<double>(attention.rope_factor) *
                std::pow(static_cast<double>(attention.rope_base), -2.0 * static_cast<double>(t) / layer_.dim)));
        layer_.rope_inv_freq = inv_freq_.data();
        layer_.rope_scale = 1;
        layer_.softmax_scale = static_cast<double>(attention.softmax_scale);
    }

    void show_queries(const QueryTap& tap, std::size_t number) {
        if (tap.rows() == 0) return;
        layer_.q = tap.queries(number).data();
        layer_.q_head_stride = layer_.dim;
        layer_.q_token_stride = static_cast<std::ptrdiff_t>(std::size_t{layer_.query_heads} * layer_.dim);
        layer_.first_query = layer_.tokens - tap.rows();
    }

    void show_norms(const Model& model, std::size_t number) {
        LayerView view;
        view.shape = {layer_.query_heads, layer_.kv_heads, layer_.tokens, layer_.dim};
        view.v = layer_.v;
        view.v_stride = std::size_t{layer_.tokens} * layer_.dim;
        norms_ = wov_norms(view, output_projection(model.file(), number, std::size_t{layer_.query_heads} * layer_.dim));
        layer_.wov_norm = norms_.data();
        layer_.wov_norm_stride = layer_.tokens;
    }

    std::vector<float> keys_, values_, norms_, inv_freq_;
    evl_layer layer_{};
};

/// Layers side by side, on so many threads.
template <class Action>
void for_each_layer(const Sequence& sequence, int threads, Action action) {
    tbb::task_arena arena(threads);
    arena.execute([&] {
        tbb::parallel_for(std::size_t{0}, sequence.model().layers(), [&](std::size_t number) { action(number); });
    });
}

std::vector<std::uint32_t> places(std::span<const std::uint8_t> mask) {
    std::vector<std::uint32_t> found;
    for (std::size_t i = 0; i < mask.size(); ++i)
        if (mask[i] != 0) found.push_back(static_cast<std::uint32_t>(i));
    return found;
}

KeptCells of_heads(const Scorer& scorer, const Sequence& sequence, const CacheState& state, const Cut& cut) {
    const std::size_t n = state.cells(), heads = state.kv_heads(), wanted = cut.budget.kept(n);
    KeptCells kept(sequence.model().layers(), std::vector<std::vector<std::uint32_t>>(heads));
    for_each_layer(sequence, cut.threads, [&](std::size_t number) {
        const ShownLayer shown(scorer, sequence, state, number);
        const std::vector<std::uint8_t> mask = scorer.keep(shown.layer(), cut.budget.removed(n));
        for (std::size_t h = 0; h < heads; ++h) kept[number][h] = places(std::span(mask).subspan(h * n, n));
    });
    for (std::size_t l = 0; l < kept.size(); ++l)
        for (std::size_t h = 0; h < heads; ++h)
            if (kept[l][h].size() != wanted)
                throw Error(
                    fmt::format("scorer '{}' keeps {} tokens in layer {}, head {}, where each head must keep {}: "
                                "llama.cpp has as many cells for all of them",
                                scorer.text(), kept[l][h].size(), l, h, wanted));
    return kept;
}

KeptCells of_model(const Scorer& scorer, const Sequence& sequence, const CacheState& state, const Cut& cut) {
    const std::size_t n = state.cells(), heads = state.kv_heads(), layers = sequence.model().layers();
    std::vector<std::vector<double>> rows(layers * heads);
    for_each_layer(sequence, cut.threads, [&](std::size_t number) {
        const ShownLayer shown(scorer, sequence, state, number);
        const std::vector<double> scores = scorer.scores(shown.layer(), cut.budget.removed(n));
        for (std::size_t h = 0; h < heads; ++h) {
            const auto* row = scores.data() + h * n;
            rows[number * heads + h].assign(row, row + n);
        }
    });
    const std::vector<std::uint32_t> stay = top_k(joined(rows, cut.join), cut.budget.kept(n));
    return KeptCells(layers, std::vector<std::vector<std::uint32_t>>(heads, stay));
}

} // namespace

double Budget::removed(std::size_t n) const {
    if (keep == 0) return 1.0 - retention;
    return keep >= n ? 0.0 : 1.0 - (static_cast<double>(keep) + 0.5) / static_cast<double>(n);
}

std::size_t Budget::kept(std::size_t n) const {
    const double gone = removed(n);
    return gone >= 1 ? 0 : std::max<std::size_t>(1, static_cast<std::size_t>(static_cast<double>(n) * (1.0 - gone)));
}

void check_scorer(const Scorer& scorer, Granularity granularity, bool again) {
    if (scorer.needs().uneven != 0)
        throw UsageError(
            fmt::format("scorer '{}' is refused: its layers or heads keep different counts, and llama.cpp has "
                        "as many cells for all of them",
                        scorer.text()));
    if (!again) return;
    if (const std::string why = scorer.refusal_when_evicted(); !why.empty())
        throw UsageError(fmt::format("scorer '{}' is refused where tokens go more than once: {}", scorer.text(), why));
    if (scorer.needs().token_type != 0 && granularity == Granularity::head)
        throw UsageError(
            fmt::format("scorer '{}' is refused where tokens go more than once and heads keep their own: it "
                        "reads token types, and a cell holds another token in each head",
                        scorer.text()));
}

KeptCells choose(const Scorer& scorer, const Sequence& sequence, const CacheState& state, const Cut& cut) {
    const std::size_t n = state.cells();
    if (cut.budget.kept(n) >= n) return all_cells(sequence.model().layers(), state.kv_heads(), n);
    return cut.granularity == Granularity::head ? of_heads(scorer, sequence, state, cut)
                                                : of_model(scorer, sequence, state, cut);
}

} // namespace evictlab::engine
