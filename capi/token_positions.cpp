// SPDX-License-Identifier: MIT
#include "capi/token_positions.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.hpp"
#include "base/numeric/aligned.hpp"
#include "capi/guard.hpp"
#include "framework/columns/column.hpp"

using namespace evictlab;

namespace {

/// Why it cannot be had where something was evicted, "" where it can.
std::string refusal(const evl_scorer& scorer, bool alike) {
    if (scorer.scorer.wants_tensors())
        return "reads queries and keys by itself, and is not told at which positions they are";
    for (const ColumnId id : scorer.columns.ids())
        for (auto at = std::optional(id); at; at = columns::base(*at)) {
            const ColumnInfo& info = columns::info(*at);
            if (!alike && info.across_heads)
                return fmt::format("reads {}, which joins what heads have at the same token, and they cache different "
                                   "ones",
                                   columns::name(*at));
            if (!info.derive && info.queries == ColumnQueries::history && columns::history(*at) == all_history)
                return fmt::format("reads {}, the attention of all queries so far, and of what earlier ones attended "
                                   "to some is gone",
                                   columns::name(*at));
        }
    return "";
}

} // namespace

namespace evictlab::capi {

std::uint64_t seen_tokens(const evl_layer& layer) { return layer.seen == 0 ? layer.tokens : layer.seen; }

bool heads_alike(const evl_layer& layer) {
    for (std::uint32_t h = 1; layer.position && h < layer.kv_heads; ++h)
        if (!std::equal(layer.position, layer.position + layer.tokens, layer.position + h * layer.position_stride))
            return false;
    return true;
}

TokenPositions::TokenPositions(const evl_layer& layer)
    : stride_(padded(layer.tokens)), seen_(capi::seen_tokens(layer)) {
    const std::size_t n = layer.tokens;
    constexpr std::uint64_t most = std::uint64_t{1} << 32U;
    if (seen_ > most) throw UsageError(fmt::format("layer.seen is {}, above {}", seen_, most));
    if (!layer.position && seen_ != n)
        throw UsageError(
            fmt::format("layer.seen is {} and layer.tokens {}, but layer.position is NULL, so which are cached is "
                        "not known",
                        seen_, n));
    if (!layer.position) return;
    for (std::uint32_t h = 0; h < layer.kv_heads; ++h) {
        const std::uint32_t* const row = layer.position + h * layer.position_stride;
        for (std::size_t i = 0; i < n; ++i)
            if (row[i] >= seen_ || (i > 0 && row[i] <= row[i - 1]))
                throw UsageError(fmt::format("layer.position is {} at head {}, token {}, but positions ascend and are "
                                             "below layer.seen, {}",
                                             row[i], h, i, seen_));
    }
    if (seen_ == n) return;
    positions_.resize(layer.kv_heads * stride_);
    for (std::uint32_t h = 0; h < layer.kv_heads; ++h)
        std::copy_n(layer.position + h * layer.position_stride, n, positions_.data() + h * stride_);
}

void TokenPositions::give(LayerView& view) const {
    if (!*this) return;
    view.positions = positions_.data();
    view.positions_stride = stride_;
    view.seen = seen_;
}

void refuse_gaps(const evl_scorer& scorer, bool alike) {
    const std::string why = refusal(scorer, alike);
    if (why.empty()) return;
    throw UsageError(fmt::format("scorer '{}' {}: it is for prompts of which nothing was evicted before",
                                 scorer.scorer.label(), why));
}

} // namespace evictlab::capi

extern "C" evl_status evl_scorer_fits_gaps(const evl_scorer* scorer, uint32_t alike, evl_failure* failure) {
    return capi::guarded(failure, [&] {
        capi::require(scorer, "scorer");
        capi::refuse_gaps(*scorer, alike != 0);
    });
}
