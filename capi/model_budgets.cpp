// Budgets over the whole model, layer by layer. SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <mutex>
#include <optional>
#include <vector>

#include "capi/guard.hpp"
#include "capi/layer_scores.hpp"
#include "capi/selection.hpp"
#include "capi/token_positions.hpp"
#include "framework/cut/budget.hpp"
#include "framework/scoring/model_selection.hpp"

using namespace evictlab;

struct evl_model {
    /// `keep` in place of `fractions`, where there are any.
    evl_model(const evl_scorer& of, std::vector<double> fractions, std::vector<std::uint64_t> keep, const Shape& at)
        : scorer(of), budgets(keep.empty() ? fractions.size() : keep.size()), kept_numbers(std::move(keep)), shape(at) {
        if (kept_numbers.empty()) selection.emplace(std::move(fractions), shape);
    }

    /// Claims the layer, so that nobody else scores it too.
    void claim(const evl_layer& layer) {
        const std::lock_guard lock(mutex);
        if (divided)
            throw UsageError(fmt::format("layer {} comes after evl_model_keep, which divided the budget among those "
                                         "that were there",
                                         layer.layer));
        if (!sizes.empty() && sizes.begin()->second.num_layers != layer.num_layers)
            throw UsageError(fmt::format("layer {} is of a model with {} layers, and layer {} of one with {}",
                                         layer.layer, layer.num_layers, sizes.begin()->first,
                                         sizes.begin()->second.num_layers));
        check_tokens(layer);
        check_positions(layer);
        if (!sizes.emplace(layer.layer, Size{layer.num_layers, layer.kv_heads, layer.tokens}).second)
            throw UsageError(fmt::format("layer {} was added before", layer.layer));
        ++adding;
    }
    /// Numbers of tokens are shares of as many as the first layer has.
    void check_tokens(const evl_layer& layer) {
        if (layer.tokens == 0) throw UsageError("layer.tokens is 0");
        if (sizes.empty() && !kept_numbers.empty()) { // the first one, or the first ones failed
            std::vector<double> fractions;
            for (const std::uint64_t count : kept_numbers)
                fractions.push_back(removed_fraction_for_kept(layer.tokens, count));
            selection.emplace(std::move(fractions), shape);
        }
        const bool alike = shape.granularity == Granularity::model || !kept_numbers.empty();
        if (alike && !sizes.empty() && sizes.begin()->second.tokens != layer.tokens)
            throw UsageError(
                fmt::format("layer {} has {} tokens and layer {} has {}: layers that share one set, or keep "
                            "numbers of tokens, must have as many",
                            layer.layer, layer.tokens, sizes.begin()->first, sizes.begin()->second.tokens));
    }
    void check_positions(const evl_layer& layer) {
        if (shape.granularity == Granularity::head) return;
        if (!capi::heads_alike(layer))
            throw UsageError(
                fmt::format("layer.position of layer {} differs from head to head, and heads that keep one "
                            "set must cache the same tokens",
                            layer.layer));
        if (shape.granularity != Granularity::model) return;
        std::vector<std::uint32_t> positions;
        if (layer.position) positions.assign(layer.position, layer.position + layer.tokens);
        if (sizes.empty())
            shared_positions = std::move(positions);
        else if (positions != shared_positions)
            throw UsageError(
                fmt::format("layer.position of layer {} is not that of layer {}: layers that share one set "
                            "must cache the same tokens",
                            layer.layer, sizes.begin()->first));
    }
    void disclaim(std::uint32_t layer) {
        const std::lock_guard lock(mutex);
        sizes.erase(layer);
    }
    void added() {
        const std::lock_guard lock(mutex);
        --adding;
    }
    struct Size {
        std::uint32_t num_layers, heads, tokens;
    };
    /// Divides the budget when first asked.
    Size kept_layer(std::uint32_t layer) {
        const std::lock_guard lock(mutex);
        const auto at = sizes.find(layer);
        if (at == sizes.end()) throw UsageError(fmt::format("layer {} was not added", layer));
        if (adding > 0) throw UsageError("evl_model_keep is called while a layer is still being added");
        if (!divided) {
            if (scorer.shared)
                selection->divide(*scorer.shared);
            else
                selection->divide(ScorerRun(scorer.scorer));
        }
        divided = true;
        return at->second;
    }

    const evl_scorer& scorer;
    std::size_t budgets;
    std::vector<std::uint64_t> kept_numbers;
    Shape shape;
    std::optional<ModelSelection> selection; ///< from the first layer on, at least
    std::mutex mutex;
    std::map<std::uint32_t, Size> sizes;
    std::vector<std::uint32_t> shared_positions; ///< of the layers' tokens, where one set is for all; empty: 0, 1, ...
    std::size_t adding = 0;
    bool divided = false;
};

namespace {

/// A layer that is being scored; given up if that fails.
class Claim {
public:
    Claim(evl_model& model, const evl_layer& layer) : model_(model), layer_(layer.layer) { model.claim(layer); }
    ~Claim() {
        if (!done) model_.disclaim(layer_);
        model_.added();
    }
    Claim(const Claim&) = delete;
    Claim& operator=(const Claim&) = delete;
    bool done = false;

private:
    evl_model& model_;
    std::uint32_t layer_;
};

} // namespace

extern "C" {

evl_status evl_model_open(const evl_scorer* scorer, const double* removed, uint64_t budgets, evl_model** model,
                          evl_failure* failure) {
    return capi::guarded(failure, [&] {
        capi::require(scorer, "scorer");
        capi::require(removed, "removed");
        capi::require(model, "model");
        std::vector<double> fractions(removed, removed + budgets);
        std::ranges::for_each(fractions, capi::check_removed);
        *model = new evl_model(*scorer, std::move(fractions), {}, {});
    });
}

evl_status evl_model_open_shape(const evl_scorer* scorer, const evl_selection* asked, evl_model** model,
                                evl_failure* failure) {
    return capi::guarded(failure, [&] {
        capi::require(scorer, "scorer");
        capi::require(model, "model");
        const evl_selection selection = capi::checked(asked, "asked");
        const Shape shape = capi::shape_of(selection, *scorer);
        std::vector<double> fractions = capi::removed_fractions(selection, 1);
        std::vector<std::uint64_t> keep;
        if (!selection.removed && selection.keep) keep.assign(selection.keep, selection.keep + selection.budgets);
        *model = new evl_model(*scorer, std::move(fractions), std::move(keep), shape);
    });
}

void evl_model_close(evl_model* model) { delete model; }

evl_status evl_model_add(evl_model* model, const evl_layer* layer, evl_failure* failure) {
    return capi::guarded(failure, [&] {
        capi::require(model, "model");
        const evl_layer given = capi::checked(layer);
        Claim claim(*model, given);
        capi::with_input(model->scorer, layer,
                         [&](const ScorerRun& run, const LayerInput& input) { model->selection->add(run, input); });
        claim.done = true;
    });
}

evl_status evl_model_select(evl_model* model, uint32_t layer, const evl_selection* into, evl_failure* failure) {
    return capi::guarded(failure, [&] {
        capi::require(model, "model");
        const evl_selection given = capi::checked(into, "into");
        capi::Selected::check(given);
        const auto [num_layers, heads, tokens] = model->kept_layer(layer);
        capi::Selected selected;
        for (std::size_t b = 0; b < model->budgets; ++b)
            selected.add(model->selection->kept(b, layer), model->selection->scores(b, layer));
        selected.write(given, tokens);
    });
}

evl_status evl_model_keep(evl_model* model, uint32_t layer, uint8_t* kept, uint64_t* counts, double* scores,
                          evl_failure* failure) {
    if (model && !kept) return capi::guarded(failure, [&] { capi::require(kept, "kept"); });
    evl_selection into{};
    into.struct_size = sizeof into;
    into.kept = kept;
    into.counts = counts;
    into.scores = scores;
    return evl_model_select(model, layer, &into, failure);
}

} // extern "C"
