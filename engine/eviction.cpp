// SPDX-License-Identifier: MIT
#include "engine/eviction.hpp"

#include <fmt/format.h>
#include <tbb/parallel_for.h>
#include <tbb/task_arena.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/error.hpp"
#include "engine/output_projection.hpp"
#include "framework/attention/wo_grams.hpp"
#include "framework/attention/wov_norms.hpp"
#include "framework/cut/top_k.hpp"

namespace evictlab::engine {
namespace {

/// A layer as libevictlab is shown it, with all that the view refers to. `at`: CacheLayout::full's place. Not movable.
class ShownLayer {
public:
    ShownLayer(const Scorer& scorer, const Cached& cached, std::size_t at, Notes::Layer* notes)
        : keys_(cached.state.keys(at)), values_(cached.state.values(at)) {
        const Model& model = cached.model;
        const std::size_t n = cached.state.cells(), dim = cached.state.dim(), number = model.layout().full[at];
        if (model.interleaved_rope())
            for (std::size_t vector = 0; vector < keys_.size(); vector += dim)
                to_half_split({keys_.data() + vector, dim});
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
        show_attention(cached.tap.attention(number));
        if (scorer.needs().queries > 0) show_queries(cached.tap, number);
        if (!cached.token_types.empty()) layer_.token_type = cached.token_types.data();
        if (notes != nullptr) layer_.memory = notes->columns.get();
        if (scorer.needs().wov_norm != 0) show_norms(model, number, notes);
        if (scorer.needs().wo_gram != 0) show_grams(model, number);
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

    LayerShape shape() const { return {layer_.query_heads, layer_.kv_heads, layer_.tokens, layer_.dim}; }

    std::vector<float> projection(const Model& model, std::size_t number) const {
        return output_projection(model.file(), number, std::size_t{layer_.query_heads} * layer_.dim);
    }

    void show_norms(const Model& model, std::size_t number, Notes::Layer* notes) {
        const auto compute = [&] {
            LayerView view;
            view.shape = shape();
            view.v = layer_.v;
            view.v_stride = std::size_t{layer_.tokens} * layer_.dim;
            return wov_norms(view, projection(model, number));
        };
        if (notes != nullptr) {
            const std::lock_guard guard(notes->lock);
            if (notes->wov_norms.empty()) notes->wov_norms = compute();
            layer_.wov_norm = notes->wov_norms.data();
        } else {
            norms_ = compute();
            layer_.wov_norm = norms_.data();
        }
        layer_.wov_norm_stride = layer_.tokens;
    }

    void show_grams(const Model& model, std::size_t number) {
        grams_ = wo_grams(shape(), projection(model, number));
        layer_.wo_gram = grams_.data();
    }

    std::vector<float> keys_, values_, norms_, inv_freq_;
    std::vector<double> grams_;
    evl_layer layer_{};
};

/// Layers that are evicted from side by side, on so many threads: by their place among these.
template <class Action>
void for_each_layer(const Cached& cached, int threads, Action action) {
    tbb::task_arena arena(std::min(threads, tbb::this_task_arena::max_concurrency()));
    arena.execute([&] {
        tbb::parallel_for(std::size_t{0}, cached.model.layout().full.size(), [&](std::size_t at) { action(at); });
    });
}

std::vector<std::uint32_t> places(std::span<const std::uint8_t> mask) {
    std::vector<std::uint32_t> found;
    for (std::size_t i = 0; i < mask.size(); ++i)
        if (mask[i] != 0) found.push_back(static_cast<std::uint32_t>(i));
    return found;
}

void check_counts(const Scorer& scorer, const CacheLayout& layout, const KeptCells& kept, std::size_t wanted) {
    for (std::size_t at = 0; at < kept.size(); ++at)
        for (std::size_t h = 0; h < kept[at].size(); ++h)
            if (kept[at][h].size() != wanted)
                throw Error(
                    fmt::format("scorer '{}' keeps {} tokens in layer {}, head {}, where each head must keep {}: "
                                "llama.cpp has as many cells for all of them",
                                scorer.text(), kept[at][h].size(), layout.full[at], h, wanted));
}

/// What a choice is made of: once, for all budgets.
struct Choice {
    const Scorer& scorer;
    const Cached& cached;
    const Cut& cut;
    std::span<const Budget> budgets;
    Notes* notes;

    std::size_t n() const { return cached.state.cells(); }
    std::size_t heads() const { return cached.state.kv_heads(); }
    std::size_t layers() const { return cached.model.layout().full.size(); }
    Notes::Layer* notes_of(std::size_t at) const { return notes == nullptr ? nullptr : &notes->layer(at); }
    std::vector<KeptCells> nothing() const {
        return {budgets.size(), KeptCells(layers(), std::vector<std::vector<std::uint32_t>>(heads()))};
    }
    std::vector<double> removed() const {
        std::vector<double> all;
        for (const Budget& budget : budgets) all.push_back(budget.removed(n()));
        return all;
    }
};

std::vector<KeptCells> of_heads(const Choice& choice) {
    const std::vector<double> removed = choice.removed();
    std::vector<KeptCells> kept = choice.nothing();
    for_each_layer(choice.cached, choice.cut.threads, [&](std::size_t at) {
        const ShownLayer shown(choice.scorer, choice.cached, at, choice.notes_of(at));
        const std::vector<std::uint8_t> mask = choice.scorer.keep(shown.layer(), removed);
        for (std::size_t b = 0; b < kept.size(); ++b)
            for (std::size_t h = 0; h < choice.heads(); ++h)
                kept[b][at][h] = places(std::span(mask).subspan((b * choice.heads() + h) * choice.n(), choice.n()));
    });
    for (std::size_t b = 0; b < kept.size(); ++b)
        check_counts(choice.scorer, choice.cached.model.layout(), kept[b], choice.budgets[b].kept(choice.n()));
    return kept;
}

/// One set for the rows of a layer, or of all layers.
std::vector<KeptCells> of_joined(const Choice& choice) {
    const std::size_t n = choice.n(), heads = choice.heads();
    const std::vector<double> removed = choice.removed();
    std::vector<KeptCells> kept = choice.nothing();
    std::vector<std::vector<double>> rows(choice.layers() * heads);
    for (std::size_t b = 0; b < kept.size(); ++b) {
        if (b == 0 || choice.scorer.needs().budgeted != 0)
            for_each_layer(choice.cached, choice.cut.threads, [&](std::size_t at) {
                const ShownLayer shown(choice.scorer, choice.cached, at, choice.notes_of(at));
                const std::vector<double> scores = choice.scorer.scores(shown.layer(), removed[b]);
                for (std::size_t h = 0; h < heads; ++h) {
                    const auto* row = scores.data() + h * n;
                    rows[at * heads + h].assign(row, row + n);
                }
            });
        const std::size_t shared = choice.cut.granularity == Granularity::layer ? 1 : choice.layers();
        for (std::size_t at = 0; at < choice.layers(); at += shared) {
            const auto sharing = std::span(rows).subspan(at * heads, shared * heads);
            const std::vector<std::uint32_t> stay = top_k(joined(sharing, choice.cut.join), choice.budgets[b].kept(n));
            for (std::size_t l = at; l < at + shared; ++l) std::ranges::fill(kept[b][l], stay);
        }
    }
    return kept;
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
    if (scorer.needs().reconstruction != 0)
        throw UsageError(fmt::format("scorer '{}' is refused: it needs a second pass over the prompt, which is not run "
                                     "here",
                                     scorer.text()));
    if (!again) return;
    if (const std::string why = scorer.refusal_when_evicted(); !why.empty())
        throw UsageError(fmt::format("scorer '{}' is refused where tokens go more than once: {}", scorer.text(), why));
    if (scorer.needs().token_type != 0 && granularity != Granularity::model)
        throw UsageError(
            fmt::format("scorer '{}' is refused where tokens go more than once and heads or layers keep their own: it "
                        "reads token types, and a cell holds another token in each of them",
                        scorer.text()));
}

std::vector<KeptCells> choose(const Scorer& scorer, const Cached& cached, const Cut& cut,
                              std::span<const Budget> budgets, Notes* notes) {
    const std::size_t n = cached.state.cells();
    std::vector<Budget> smaller; // the others keep all, and nothing is scored
    for (const Budget& budget : budgets) {
        if (budget.kept(n) == 0)
            throw UsageError(fmt::format("a retention of {} is so small that no token is kept", budget.retention));
        if (budget.kept(n) < n) smaller.push_back(budget);
    }
    const Choice choice{scorer, cached, cut, smaller, notes};
    std::vector<KeptCells> chosen;
    if (!smaller.empty()) chosen = cut.granularity == Granularity::head ? of_heads(choice) : of_joined(choice);
    std::vector<KeptCells> kept;
    for (auto next = chosen.begin(); const Budget& budget : budgets)
        kept.push_back(budget.kept(n) < n ? std::move(*next++) : all_cells(cached.state, choice.layers()));
    return kept;
}

KeptCells choose(const Scorer& scorer, const Cached& cached, const Cut& cut, const Budget& budget) {
    return std::move(choose(scorer, cached, cut, std::span(&budget, 1)).front());
}

} // namespace evictlab::engine
