// Scoring one layer: the caller's arrays checked and made into what scorers read. SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstring>

#include "capi/column_memory.hpp"
#include "capi/guard.hpp"
#include "capi/layer_scores.hpp"
#include "capi/open_scorer.hpp"
#include "capi/token_positions.hpp"
#include "framework/capture/stored_types.hpp"
#include "framework/scoring/prompt_columns.hpp"
#include "framework/scoring/scorer_run.hpp"

using namespace evictlab;

namespace {

/// Values of a type, wherever they lie.
struct Values {
    const float* data = nullptr; ///< of EVL_F32, else of that type
    std::uint32_t type = EVL_F32;

    Values operator+(std::ptrdiff_t count) const {
        const std::ptrdiff_t size = type == EVL_F32 ? 4 : 2;
        return {reinterpret_cast<const float*>(reinterpret_cast<const std::byte*>(data) + count * size), type};
    }
    void read(std::size_t n, float* to) const {
        const auto* const from = reinterpret_cast<const std::byte*>(data);
        type == EVL_F16    ? floats_from_f16(from, n, to)
        : type == EVL_BF16 ? floats_from_bf16(from, n, to)
                           : floats_from_f32(from, n, to);
    }
};

/// One of q, k and v: `rows` vectors of `dim` a head, read where they lie or packed.
struct HeadRows {
    const float* data = nullptr;
    std::size_t stride = 0; ///< floats from one head to the next
    AlignedFloats packed;

    HeadRows(const char* name, Values from, std::size_t heads, std::size_t rows, std::size_t dim,
             std::ptrdiff_t head_stride, std::ptrdiff_t token_stride) {
        if (!from.data) throw UsageError(fmt::format("{} is NULL", name));
        const bool dense = from.type == EVL_F32 && token_stride == static_cast<std::ptrdiff_t>(dim) && head_stride >= 0;
        if (!dense) packed.resize(heads * rows * dim);
        for (std::size_t h = 0; h < heads; ++h)
            for (std::size_t i = 0; i < rows; ++i) {
                const Values there = from + (static_cast<std::ptrdiff_t>(h) * head_stride +
                                             static_cast<std::ptrdiff_t>(i) * token_stride);
                float* const to = dense ? nullptr : packed.data() + (h * rows + i) * dim;
                if (to) there.read(dim, to);
                if (!all_finite(to ? to : there.data, dim))
                    throw Error(fmt::format("{} has a value that is not finite at head {}, row {}", name, h, i));
            }
        data = dense ? from.data : packed.data();
        stride = dense ? static_cast<std::size_t>(head_stride) : rows * dim;
    }
};

} // namespace

evl_layer capi::checked(const evl_layer* given) {
    require(given, "layer");
    constexpr std::size_t least = offsetof(evl_layer, memory); // what callers of version 0.1 know
    if (given->struct_size < least)
        throw UsageError(
            fmt::format("layer.struct_size is {}, but an evl_layer has {} bytes at least", given->struct_size, least));
    evl_layer layer{};
    std::memcpy(&layer, given, std::min<std::size_t>(given->struct_size, sizeof layer));
    if (layer.query_heads == 0 || layer.kv_heads == 0 || layer.query_heads % layer.kv_heads != 0)
        throw UsageError(fmt::format("{} KV heads do not divide {} query heads", layer.kv_heads, layer.query_heads));
    if (layer.tokens == 0) throw UsageError("layer.tokens is 0");
    if (layer.dim == 0 || layer.dim % 2 != 0)
        throw UsageError(fmt::format("layer.dim is {}, not an even number of 2 or more", layer.dim));
    if (layer.layer >= layer.num_layers)
        throw UsageError(fmt::format("layer {} of a model with {} layers", layer.layer, layer.num_layers));
    if (!std::isfinite(layer.softmax_scale) || layer.softmax_scale <= 0 || !std::isfinite(layer.rope_scale) ||
        layer.rope_scale <= 0)
        throw UsageError("layer.softmax_scale and layer.rope_scale must be positive numbers");
    if (layer.value_type > EVL_BF16)
        throw UsageError(fmt::format("layer.value_type is {}, but must be from 0 to {}", layer.value_type, EVL_BF16));
    return layer;
}

namespace {

/// A layer as scorers see it, with all that the view refers to. Not movable.
class GivenLayer {
public:
    GivenLayer(const evl_scorer& scorer, const evl_layer& layer, bool columns_alone) : positions_(layer) {
        if (positions_) capi::refuse_gaps(scorer, capi::heads_alike(layer));
        positions_.give(view_);
        view_.shape = {layer.query_heads, layer.kv_heads, layer.tokens, layer.dim};
        rope_.assign(layer.dim / 2, 0.0F);
        if (layer.rope_inv_freq) std::copy_n(layer.rope_inv_freq, layer.dim / 2, rope_.begin());
        view_.rope_inv_freq = rope_;
        view_.rope_scale = static_cast<float>(layer.rope_scale);
        view_.softmax_scale = static_cast<float>(layer.softmax_scale);
        view_.sliding_window = layer.sliding_window;
        view_.layer = layer.layer;
        view_.num_layers = layer.num_layers;
        view_.prompt = layer.tokens;
        if (columns_alone) {
            take_calibration(scorer);
            return;
        }
        take_keys_and_values(layer);
        take_queries(scorer, layer);
        take_token_type(scorer, layer);
        take_norms(scorer, layer);
        take_calibration(scorer);
        take_gram(scorer, layer);
        take_reconstruction(scorer, layer);
    }
    GivenLayer(const GivenLayer&) = delete;
    GivenLayer& operator=(const GivenLayer&) = delete;
    const LayerView& view() const { return view_; }
    const AttentionRows* rows() const { return rows_ ? &*rows_ : nullptr; }

private:
    void take_keys_and_values(const evl_layer& layer) {
        keys_.emplace("k", Values{layer.k, layer.value_type}, layer.kv_heads, layer.tokens, layer.dim,
                      layer.k_head_stride, layer.k_token_stride);
        values_.emplace("v", Values{layer.v, layer.value_type}, layer.kv_heads, layer.tokens, layer.dim,
                        layer.v_head_stride, layer.v_token_stride);
        view_.k = keys_->data;
        view_.v = values_->data;
        view_.k_stride = keys_->stride;
        view_.v_stride = values_->stride;
    }

    void take_queries(const evl_scorer& scorer, const evl_layer& layer) {
        if (scorer.queries == 0) return;
        const std::size_t n = capi::seen_tokens(layer), needed = n - std::min<std::size_t>(n, scorer.queries);
        const std::string label = scorer.scorer.label();
        if (!layer.q) throw UsageError(fmt::format("scorer '{}' needs queries, and layer.q is NULL", label));
        if (layer.first_query > needed)
            throw UsageError(fmt::format("scorer '{}' needs the queries from position {} on, and layer.q begins at {}",
                                         label, needed, layer.first_query));
        const std::size_t skipped = needed - layer.first_query;
        const Values rows =
            Values{layer.q, layer.value_type} + static_cast<std::ptrdiff_t>(skipped) * layer.q_token_stride;
        queries_.emplace("q", rows, layer.query_heads, n - needed, layer.dim, layer.q_head_stride,
                         layer.q_token_stride);
        view_.q = queries_->data;
        view_.q_stride = queries_->stride;
        view_.first_query = needed;
        rows_.emplace(view_);
    }

    void take_token_type(const evl_scorer& scorer, const evl_layer& layer) {
        if (scorer.token_type && !layer.token_type)
            throw UsageError(
                fmt::format("scorer '{}' needs token types, and layer.token_type is NULL", scorer.scorer.label()));
        const std::size_t rows = layer.token_type_stride == 0 ? 1 : layer.kv_heads, stride = padded(layer.tokens);
        if (scorer.token_type && rows == 1 && !capi::heads_alike(layer))
            throw UsageError(fmt::format("scorer '{}' needs token types of each head, as heads cache different tokens, "
                                         "and layer.token_type_stride is 0",
                                         scorer.scorer.label()));
        token_type_.assign(rows * stride, 0.0);
        for (std::size_t h = 0; layer.token_type && h < rows; ++h) {
            const std::uint8_t* row = layer.token_type + static_cast<std::ptrdiff_t>(h) * layer.token_type_stride;
            for (std::size_t i = 0; i < layer.tokens; ++i) {
                if (row[i] > 3)
                    throw UsageError(
                        fmt::format("layer.token_type is {} at token {}, but must be from 0 to 3", row[i], i));
                token_type_[h * stride + i] = row[i];
            }
        }
        view_.token_type = token_type_.data();
        view_.token_type_stride = rows == 1 ? 0 : stride;
    }

    void take_norms(const evl_scorer& scorer, const evl_layer& layer) {
        if (scorer.wov_norm && !layer.wov_norm)
            throw UsageError(fmt::format(
                "scorer '{}' needs the norms of values behind the output projection, and layer.wov_norm is NULL",
                scorer.scorer.label()));
        if (!layer.wov_norm) return;
        for (std::size_t h = 0; h < layer.query_heads; ++h) {
            const float* row = layer.wov_norm + static_cast<std::ptrdiff_t>(h) * layer.wov_norm_stride;
            norms_.insert(norms_.end(), row, row + layer.tokens);
        }
        view_.wov_norm = norms_.data();
    }

    void take_calibration(const evl_scorer& scorer) {
        if (!scorer.calibration) return;
        const Calibration& found = *scorer.calibration;
        const LayerShape& shape = view_.shape;
        if (const std::string why = found.misfit(view_.num_layers, shape.query_heads, shape.kv_heads, shape.dim);
            !why.empty())
            throw Error(fmt::format("scorer '{}': the calibration {} {}", scorer.scorer.label(), found.file, why));
        view_.calibration = found.layer(view_.layer);
        if (!view_.calibration)
            throw Error(fmt::format("scorer '{}': the calibration {} lacks layer {}; it holds {}",
                                    scorer.scorer.label(), found.file, view_.layer, found.layers_text()));
    }

    void take_gram(const evl_scorer& scorer, const evl_layer& layer) {
        if (!scorer.wo_gram) return;
        if (!layer.wo_gram)
            throw UsageError(fmt::format("scorer '{}' needs what the output projection does to lengths, and "
                                         "layer.wo_gram is NULL",
                                         scorer.scorer.label()));
        const std::size_t matrix = std::size_t{layer.dim} * layer.dim;
        for (std::size_t i = 0; i < layer.query_heads * matrix; ++i)
            if (!std::isfinite(layer.wo_gram[i]))
                throw Error(fmt::format("wo_gram has a value that is not finite at query head {}", i / matrix));
        view_.wo_gram = layer.wo_gram;
    }

    void take_reconstruction(const evl_scorer& scorer, const evl_layer& layer) {
        constexpr std::array<std::string_view, 3> names{"KVzip", "KVzip+", "KVgrad"};
        for (std::size_t kind = 0; kind < names.size(); ++kind) {
            if ((scorer.reconstruction >> kind & 1U) == 0) continue;
            const float* given = layer.reconstruction[kind];
            if (!given)
                throw UsageError(fmt::format("scorer '{}' needs what a second pass over the prompt gives ({}), and "
                                             "layer.reconstruction[{}] is NULL",
                                             scorer.scorer.label(), names[kind], kind));
            for (std::size_t a = 0; a < layer.kv_heads; ++a) {
                const float* row = given + static_cast<std::ptrdiff_t>(a) * layer.reconstruction_stride;
                if (!all_finite(row, layer.tokens))
                    throw Error(
                        fmt::format("layer.reconstruction[{}] has a value that is not finite at head {}", kind, a));
                second_pass_[kind].insert(second_pass_[kind].end(), row, row + layer.tokens);
            }
            view_.reconstruction[kind] = second_pass_[kind].data();
        }
    }

    std::optional<HeadRows> keys_, values_, queries_;
    capi::TokenPositions positions_;
    std::vector<float> rope_, norms_;
    std::array<std::vector<float>, 3> second_pass_;
    std::vector<double> token_type_;
    LayerView view_;
    std::optional<AttentionRows> rows_; ///< where the scorer reads queries
};

/// Calls take(budget, LayerSelection) for each removed fraction.
template <class Take>
void select(const evl_scorer* scorer, const evl_layer* layer, std::span<const double> removed, Take take) {
    capi::require(scorer, "scorer");
    std::ranges::for_each(removed, capi::check_removed);
    capi::with_input(*scorer, layer, [&](const ScorerRun& run, const LayerInput& input) {
        LayerSelection selection(run, input);
        for (std::size_t b = 0; b < removed.size(); ++b) {
            selection.select(removed[b]);
            take(b, selection);
        }
    });
}

} // namespace

void evictlab::capi::check_removed(double removed) {
    if (!(removed >= 0 && removed <= 1))
        throw UsageError(fmt::format("a removed fraction of {} is not in [0, 1]", removed));
}

void evictlab::capi::refuse_layers_alone(const evl_scorer* scorer) {
    require(scorer, "scorer");
    if (scorer->scorer.needs_model())
        throw UsageError(fmt::format("scorer '{}' looks at all layers of the model together: what one keeps is "
                                     "known once all are scored, by evl_model_open, evl_model_add and evl_model_keep",
                                     scorer->scorer.label()));
}

void evictlab::capi::with_input(const evl_scorer& scorer, const evl_layer* layer,
                                const std::function<void(const ScorerRun&, const LayerInput&)>& use) {
    const evl_layer given = checked(layer);
    const bool columns_alone = !given.q && !given.k && !given.v && given.memory;
    if (columns_alone) given.memory->require_all(scorer);
    const GivenLayer held(scorer, given, columns_alone);
    std::optional<PromptColumns> computed;
    std::optional<BoardColumns> by_id;
    HeldColumns remembered;
    if (given.memory)
        remembered = given.memory->columns(held.view(), held.rows(), scorer.columns);
    else
        by_id.emplace(scorer.columns, computed.emplace(held.view(), held.rows(), scorer.columns.ids()).columns());
    const LayerColumns& columns = by_id ? static_cast<const LayerColumns&>(*by_id) : remembered;
    PromptInput input(held.view(), held.rows(), columns);
    std::optional<ScorerRun> own;
    if (!scorer.shared) own.emplace(scorer.scorer);
    use(own ? *own : *scorer.shared, input.of(scorer.scorer));
}

void evictlab::capi::with_view(const evl_scorer& scorer, const evl_layer* layer,
                               const std::function<void(const LayerView&)>& use) {
    const evl_layer given = checked(layer);
    use(GivenLayer(scorer, given, false).view());
}

extern "C" {

evl_status evl_scorer_score(const evl_scorer* scorer, const evl_layer* layer, double removed, double* scores,
                            uint64_t* counts, evl_failure* failure) {
    return capi::guarded(failure, [&] {
        capi::require(scores, "scores");
        if (counts) capi::refuse_layers_alone(scorer);
        select(scorer, layer, {&removed, 1}, [&](std::size_t, const LayerSelection& selection) {
            std::ranges::copy(selection.scores(), scores);
            if (counts) std::ranges::copy(selection.kept_per_head(), counts);
        });
    });
}

evl_status evl_scorer_keep(const evl_scorer* scorer, const evl_layer* layer, const double* removed, uint64_t budgets,
                           uint8_t* kept, uint64_t* counts, double* scores, evl_failure* failure) {
    return capi::guarded(failure, [&] {
        capi::require(removed, "removed");
        capi::require(kept, "kept");
        capi::refuse_layers_alone(scorer);
        const evl_layer given = capi::checked(layer);
        const std::size_t heads = given.kv_heads, n = given.tokens;
        std::vector<std::uint8_t> all(budgets * heads * n); // written only when all went well
        std::vector<double> all_scores;
        std::vector<std::uint64_t> all_counts;
        select(scorer, layer, {removed, budgets}, [&](std::size_t budget, const LayerSelection& selection) {
            const KeptSets sets = selection.kept({});
            for (std::size_t h = 0; h < heads; ++h)
                for (const std::uint32_t i : sets[h]) all[(budget * heads + h) * n + i] = 1;
            all_counts.insert(all_counts.end(), selection.kept_per_head().begin(), selection.kept_per_head().end());
            if (scores) all_scores.insert(all_scores.end(), selection.scores().begin(), selection.scores().end());
        });
        std::ranges::copy(all, kept);
        if (counts) std::ranges::copy(all_counts, counts);
        if (scores) std::ranges::copy(all_scores, scores);
    });
}

} // extern "C"
