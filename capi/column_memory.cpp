// SPDX-License-Identifier: MIT
#include "capi/column_memory.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "capi/guard.hpp"
#include "capi/layer_scores.hpp"
#include "capi/token_positions.hpp"
#include "framework/scoring/prompt_columns.hpp"

using namespace evictlab;

namespace {

/// Searches try windows of many lengths; more columns than this are forgotten, all at once. A tuning reads some 40.
constexpr std::size_t most_columns = 64;

/// A column's name, and the calibration that it reads.
std::string key_of(ColumnId id, const LayerView& view) {
    const std::string& name = evictlab::columns::name(id);
    const bool calibrated = evictlab::columns::needs(id) == ColumnNeeds::calibration && view.calibration;
    return calibrated ? name + " of " + view.calibration->whole->sha256 : name;
}

} // namespace

void evl_memory::check(const std::vector<std::size_t>& identity) {
    if (identity_.empty()) identity_ = identity;
    if (identity_ != identity)
        throw UsageError(fmt::format("layer.memory is of layer {} with {} KV heads and {} tokens, and this is layer {} "
                                     "with {} KV heads and {} tokens: each layer of each document needs its own",
                                     identity_[0], identity_[2], identity_[3], identity[0], identity[2], identity[3]));
}

void evl_memory::put(const evl_layer& layer, const std::string& column, const double* values) {
    const std::size_t heads = layer.kv_heads, n = layer.tokens, stride = padded(n);
    for (std::size_t i = 0; i < heads * n; ++i)
        if (std::isnan(values[i]))
            throw Error(fmt::format("column '{}' is not a number at head {}, token {}", column, i / n, i % n));
    auto copy = std::make_shared<std::vector<double>>(heads * stride);
    for (std::size_t h = 0; h < heads; ++h) std::copy_n(values + h * n, n, copy->data() + h * stride);
    const std::lock_guard lock(mutex_);
    check({layer.layer, layer.num_layers, heads, n, capi::seen_tokens(layer)});
    given_[column] = {std::move(copy), static_cast<std::ptrdiff_t>(stride)};
}

void evl_memory::require_all(const evl_scorer& scorer) {
    const std::string label = scorer.scorer.label();
    if (scorer.scorer.wants_tensors())
        throw UsageError(fmt::format("scorer '{}' takes queries, keys and values, and layer.k is NULL", label));
    const std::lock_guard lock(mutex_);
    for (const ColumnId id : scorer.columns.ids())
        if (const std::string& name = evictlab::columns::name(id); !given_.contains(name))
            throw UsageError(fmt::format("scorer '{}' reads the column '{}', which layer.memory was not given, and "
                                         "layer.k is NULL",
                                         label, name));
}

void evl_memory::compute(const LayerView& view, const AttentionRows* rows, std::span<const ColumnId> missing) {
    PromptColumns computed(view, rows, missing);
    for (std::size_t c = 0; c < missing.size(); ++c)
        held_[key_of(missing[c], view)] = hold_column(computed.columns(), c, view.shape.kv_heads);
}

HeldColumns evl_memory::columns(const LayerView& view, const AttentionRows* rows, const ColumnPlaces& places) {
    const std::lock_guard lock(mutex_);
    check({view.layer, view.num_layers, view.shape.kv_heads, view.prompt, view.seen_tokens()});
    if (held_.size() + places.size() > most_columns) held_.clear();
    std::vector<ColumnId> missing;
    for (const ColumnId id : places.ids())
        if (!given_.contains(evictlab::columns::name(id)) && !held_.contains(key_of(id, view))) missing.push_back(id);
    if (!missing.empty()) compute(view, rows, missing);
    std::vector<HeldColumn> asked;
    for (const ColumnId id : places.ids()) {
        const auto found = given_.find(evictlab::columns::name(id));
        asked.push_back(found != given_.end() ? found->second : held_.at(key_of(id, view)));
    }
    return {places, std::move(asked)};
}

extern "C" {

evl_status evl_memory_open(evl_memory** memory, evl_failure* failure) {
    return capi::guarded(failure, [&] {
        capi::require(memory, "memory");
        *memory = new evl_memory;
    });
}

void evl_memory_close(evl_memory* memory) { delete memory; }

evl_status evl_memory_put(evl_memory* memory, const evl_layer* layer, const char* column, const double* values,
                          evl_failure* failure) {
    return capi::guarded(failure, [&] {
        capi::require(memory, "memory");
        capi::require(column, "column");
        capi::require(values, "values");
        memory->put(capi::checked(layer), column, values);
    });
}

} // extern "C"
