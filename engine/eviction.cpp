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

namespace evictlab::engine {
namespace {

bool heads_alike(const Shape& shape) { return shape.granularity != Granularity::head; }

/// A layer as libevictlab is shown it, with all that the view refers to. `at`: CacheLayout::full's place. Not movable.
class ShownLayer {
public:
    ShownLayer(const Scorer& scorer, const Cached& cached, const Shape& shape, std::size_t at, Notes::Layer* notes)
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
        if (!cached.positions.empty() && scorer.gaps(heads_alike(shape)) == Scorer::Gaps::positions)
            show_positions(cached, at);
        if (scorer.needs().queries > 0) show_queries(cached.tap, number);
        if (scorer.needs().token_type != 0) show_types(cached, at);
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

    void show_positions(const Cached& cached, std::size_t at) {
        for (const auto& head : cached.positions[at]) positions_.insert(positions_.end(), head.begin(), head.end());
        layer_.position = positions_.data();
        layer_.position_stride = layer_.tokens;
        layer_.seen = cached.next;
    }

    void show_types(const Cached& cached, std::size_t at) {
        layer_.token_type = cached.token_types.data();
        if (cached.positions.empty()) return;
        for (const auto& head : cached.positions[at])
            for (const std::uint32_t position : head) types_.push_back(cached.token_types[position]);
        layer_.token_type = types_.data();
        layer_.token_type_stride = layer_.tokens;
    }

    void show_queries(const QueryTap& tap, std::size_t number) {
        if (tap.rows() == 0) return;
        layer_.q = tap.queries(number).data();
        layer_.q_head_stride = layer_.dim;
        layer_.q_token_stride = static_cast<std::ptrdiff_t>(std::size_t{layer_.query_heads} * layer_.dim);
        layer_.first_query = (layer_.seen > 0 ? layer_.seen : layer_.tokens) - tap.rows();
    }

    LayerShape layer_shape() const { return {layer_.query_heads, layer_.kv_heads, layer_.tokens, layer_.dim}; }

    std::vector<float> projection(const Model& model, std::size_t number) const {
        return output_projection(model.file(), number, std::size_t{layer_.query_heads} * layer_.dim);
    }

    void show_norms(const Model& model, std::size_t number, Notes::Layer* notes) {
        const auto compute = [&] {
            LayerView view;
            view.shape = layer_shape();
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
        grams_ = wo_grams(layer_shape(), projection(model, number));
        layer_.wo_gram = grams_.data();
    }

    std::vector<float> keys_, values_, norms_, inv_freq_;
    std::vector<double> grams_;
    std::vector<std::uint32_t> positions_;
    std::vector<std::uint8_t> types_;
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

/// Where heads or layers keep their own blocks, those without a short last one would keep more tokens than others.
void check_blocks(const Shape& shape, std::size_t n) {
    if (shape.granularity == Granularity::model || n % shape.block == 0 || shape.recent > 0) return;
    throw UsageError(
        fmt::format("{} tokens in blocks of {} end in a block of {}, which some {} would keep and others not, and "
                    "llama.cpp has as many cells for all of them: let the last tokens stay (recent), take a prompt of "
                    "whole blocks, or granularity model",
                    n, shape.block, n % shape.block, shape.granularity == Granularity::head ? "heads" : "layers"));
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

/// At budgets that keep less than all.
std::vector<KeptCells> chosen(const Scorer& scorer, const Cached& cached, const Cut& cut,
                              std::span<const Budget> budgets, Notes* notes) {
    const CacheLayout& layout = cached.model.layout();
    const std::size_t n = cached.state.cells();
    check_blocks(cut.shape, n);
    std::vector<double> removed;
    for (const Budget& budget : budgets) removed.push_back(budget.removed(n));
    Selection selection(scorer, cut.shape, removed);
    for_each_layer(cached, cut.threads, [&](std::size_t at) {
        selection.add(
            ShownLayer(scorer, cached, cut.shape, at, notes == nullptr ? nullptr : &notes->layer(at)).layer());
    });
    std::vector<KeptCells> kept(budgets.size(), KeptCells(layout.full.size()));
    for_each_layer(cached, cut.threads, [&](std::size_t at) {
        std::vector<KeptSets> sets = selection.kept(layout.full[at], cached.state.kv_heads(), n);
        for (std::size_t b = 0; b < kept.size(); ++b) kept[b][at] = std::move(sets[b]);
    });
    for (std::size_t b = 0; b < kept.size(); ++b)
        check_counts(scorer, layout, kept[b],
                     cut.shape.block == 1 ? budgets[b].kept(n) : kept[b].front().front().size());
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

void check_scorer(const Scorer& scorer, const Shape& shape, bool again) {
    if (scorer.needs().uneven != 0)
        throw UsageError(
            fmt::format("scorer '{}' is refused: its layers or heads keep different counts, and llama.cpp has "
                        "as many cells for all of them",
                        scorer.text()));
    if (scorer.needs().reconstruction != 0)
        throw UsageError(fmt::format("scorer '{}' is refused: it needs a second pass over the prompt, which is not run "
                                     "here",
                                     scorer.text()));
    scorer.check_shape(shape);
    if (!again) return;
    if (std::string why; scorer.gaps(heads_alike(shape), &why) == Scorer::Gaps::refused)
        throw UsageError(fmt::format("refused where tokens go more than once: {}", why));
}

Carried carried_for(const Scorer& scorer, const Shape& shape) {
    if (scorer.gaps(heads_alike(shape)) == Scorer::Gaps::places) return {.of_cells = true};
    return {.latest = static_cast<std::size_t>(scorer.needs().queries)};
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
    std::vector<KeptCells> less, kept;
    if (!smaller.empty()) less = chosen(scorer, cached, cut, smaller, notes);
    for (auto next = less.begin(); const Budget& budget : budgets)
        kept.push_back(budget.kept(n) < n ? std::move(*next++)
                                          : all_cells(cached.state, cached.model.layout().full.size()));
    return kept;
}

KeptCells choose(const Scorer& scorer, const Cached& cached, const Cut& cut, const Budget& budget) {
    return std::move(choose(scorer, cached, cut, std::span(&budget, 1)).front());
}

} // namespace evictlab::engine
