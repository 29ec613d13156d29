// Budgets over the whole model, layer by layer. SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <mutex>
#include <vector>

#include "capi/guard.hpp"
#include "capi/layer_scores.hpp"
#include "framework/scoring/model_selection.hpp"

using namespace evictlab;

struct evl_model {
    evl_model(const evl_scorer& of, std::vector<double> fractions)
        : scorer(of), budgets(fractions.size()), selection(std::move(fractions)) {}

    /// Claims the layer, so that nobody else scores it too.
    void claim(const evl_layer& layer) {
        const std::lock_guard lock(mutex);
        if (divided)
            throw UsageError(fmt::format("layer {} comes after evl_model_keep, which divided the budget among those "
                                         "that were there",
                                         layer.layer));
        if (!shapes.empty() && shapes.begin()->second.num_layers != layer.num_layers)
            throw UsageError(fmt::format("layer {} is of a model with {} layers, and layer {} of one with {}",
                                         layer.layer, layer.num_layers, shapes.begin()->first,
                                         shapes.begin()->second.num_layers));
        if (!shapes.emplace(layer.layer, Shape{layer.num_layers, layer.kv_heads, layer.tokens}).second)
            throw UsageError(fmt::format("layer {} was added before", layer.layer));
        ++adding;
    }
    void disclaim(std::uint32_t layer) {
        const std::lock_guard lock(mutex);
        shapes.erase(layer);
    }
    void added() {
        const std::lock_guard lock(mutex);
        --adding;
    }
    struct Shape {
        std::uint32_t num_layers, heads, tokens;
    };
    /// Divides the budget when first asked.
    Shape kept_layer(std::uint32_t layer) {
        const std::lock_guard lock(mutex);
        const auto at = shapes.find(layer);
        if (at == shapes.end()) throw UsageError(fmt::format("layer {} was not added", layer));
        if (adding > 0) throw UsageError("evl_model_keep is called while a layer is still being added");
        if (!divided) {
            if (scorer.shared)
                selection.divide(*scorer.shared);
            else
                selection.divide(ScorerRun(scorer.scorer));
        }
        divided = true;
        return at->second;
    }

    const evl_scorer& scorer;
    std::size_t budgets;
    ModelSelection selection;
    std::mutex mutex;
    std::map<std::uint32_t, Shape> shapes;
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
        *model = new evl_model(*scorer, std::move(fractions));
    });
}

void evl_model_close(evl_model* model) { delete model; }

evl_status evl_model_add(evl_model* model, const evl_layer* layer, evl_failure* failure) {
    return capi::guarded(failure, [&] {
        capi::require(model, "model");
        capi::require(layer, "layer");
        Claim claim(*model, *layer);
        capi::with_input(model->scorer, layer,
                         [&](const ScorerRun& run, const LayerInput& input) { model->selection.add(run, input); });
        claim.done = true;
    });
}

evl_status evl_model_keep(evl_model* model, uint32_t layer, uint8_t* kept, uint64_t* counts, double* scores,
                          evl_failure* failure) {
    return capi::guarded(failure, [&] {
        capi::require(model, "model");
        capi::require(kept, "kept");
        const auto [num_layers, heads, tokens] = model->kept_layer(layer);
        const std::size_t size = std::size_t{heads} * tokens;
        std::fill_n(kept, model->budgets * size, std::uint8_t{0});
        for (std::size_t b = 0; b < model->budgets; ++b) {
            const KeptSets sets = model->selection.kept(b, layer);
            for (std::size_t h = 0; h < heads; ++h)
                for (const std::uint32_t i : sets[h]) kept[b * size + h * tokens + i] = 1;
            if (counts) counts = std::ranges::copy(model->selection.kept_per_head(b, layer), counts).out;
            if (scores) scores = std::ranges::copy(model->selection.scores(b, layer), scores).out;
        }
    });
}

} // extern "C"
