// SPDX-License-Identifier: MIT
#include "capi/column_memory.hpp"

#include <fmt/format.h>

#include "capi/guard.hpp"

using namespace evictlab;

namespace {

/// Searches try windows of many lengths; more columns than this are forgotten, all at once. A tuning reads some 40.
constexpr std::size_t most_columns = 64;

} // namespace

void evl_memory::check(const LayerView& view) {
    const std::vector<std::size_t> identity{view.layer, view.num_layers, view.shape().kv_heads, view.tokens};
    if (identity_.empty()) identity_ = identity;
    if (identity_ != identity)
        throw UsageError(fmt::format("layer.memory is of layer {} with {} KV heads and {} tokens, and this is layer {} "
                                     "with {} KV heads and {} tokens: each layer of each document needs its own",
                                     identity_[0], identity_[2], identity_[3], identity[0], identity[2], identity[3]));
}

void evl_memory::compute(const LayerView& view, std::span<const ColumnId> missing) {
    PromptColumns computed(view, missing);
    const std::size_t heads = view.shape().kv_heads, n = view.tokens;
    for (std::size_t c = 0; c < missing.size(); ++c) {
        auto values = std::make_shared<std::vector<double>>(heads * n + row_padding);
        std::ptrdiff_t stride = 0;
        const double* from = computed.columns().filled(c, stride);
        for (std::size_t h = 0; h < heads; ++h)
            std::copy_n(from + static_cast<std::ptrdiff_t>(h) * stride, n, values->data() + h * n);
        held_[evictlab::columns::name(missing[c])] = std::move(values);
    }
}

std::function<ColumnValues(ColumnId)> evl_memory::columns(const LayerView& view, std::span<const ColumnId> ids) {
    const std::lock_guard lock(mutex_);
    check(view);
    if (held_.size() + ids.size() > most_columns) held_.clear();
    std::vector<ColumnId> missing;
    for (const ColumnId id : ids)
        if (!held_.contains(evictlab::columns::name(id))) missing.push_back(id);
    if (!missing.empty()) compute(view, missing);
    std::map<ColumnId, Values> asked;
    for (const ColumnId id : ids) asked.emplace(id, held_.at(evictlab::columns::name(id)));
    const auto stride = static_cast<std::ptrdiff_t>(view.tokens);
    return [asked = std::move(asked), stride](ColumnId id) { return ColumnValues{asked.at(id)->data(), stride}; };
}

extern "C" {

evl_status evl_memory_open(evl_memory** memory, evl_failure* failure) {
    return capi::guarded(failure, [&] {
        capi::require(memory, "memory");
        *memory = new evl_memory;
    });
}

void evl_memory_close(evl_memory* memory) { delete memory; }

} // extern "C"
