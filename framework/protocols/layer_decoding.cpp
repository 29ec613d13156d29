// SPDX-License-Identifier: MIT
#include "framework/protocols/layer_decoding.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "framework/protocols/protocol.hpp"
#include "framework/scorers/shape_refusal.hpp"

namespace evictlab {
namespace {

/// Copies `rows` vectors of each head to the front of that head's room.
AlignedFloats with_room(const float* from, std::size_t stride, std::size_t heads, std::size_t rows, std::size_t room,
                        std::size_t dim) {
    AlignedFloats to(heads * room * dim);
    std::fill(to.begin(), to.end(), 0.0F);
    for (std::size_t h = 0; h < heads && from; ++h)
        std::copy_n(from + h * stride, rows * dim, to.begin() + static_cast<std::ptrdiff_t>(h * room * dim));
    return to;
}

} // namespace

std::string decoding_refusal(const Scorer& scorer, const Shape& shape) {
    const ProtocolInfo& decode = protocol_info("decode");
    if (std::string why = decode.refuses(scorer); !why.empty()) return why;
    if (std::string why = shape_refusal(scorer, shape); !why.empty()) return why;
    for (const ColumnId id : scorer.columns())
        if (columns::needs(id) == ColumnNeeds::reconstruction)
            return fmt::format("asks for the column '{}': it is what a second pass over a whole prompt gives, and the "
                               "protocol {} has none",
                               columns::name(id), decode.name);
    return "";
}

LayerDecoding::LayerDecoding(const ScorerRun& run, const LayerView& prompt, std::size_t longest, const Shape& shape)
    : view_(prompt), places_(run.scorer().columns()), next_(prompt.prompt) {
    view_.shape.tokens = longest;
    copy_prompt(prompt);
    if (prompt.q) rows_.emplace(view_);
    columns_.emplace(view_, rows_ ? &*rows_ : nullptr, places_.ids());
    by_id_.emplace(places_, columns_->columns());
    input_.emplace(view_, rows_ ? &*rows_ : nullptr, *by_id_);
    const ChooserTask task{view_, columns_->columns(), *input_};
    if (run.scorer().has_threshold())
        chooser_ = std::make_unique<ThresholdChooser>(run, task, longest, nullptr);
    else
        chooser_ = std::make_unique<CapacityChooser>(run, task, shape);
    for (std::size_t a = 0; a < kv_heads(); ++a) heads_.emplace_back(view_, a);
}

LayerDecoding::~LayerDecoding() = default;

void LayerDecoding::copy_prompt(const LayerView& prompt) {
    const LayerShape& shape = view_.shape;
    const std::size_t n = prompt.prompt, room = shape.tokens, dim = shape.dim;
    view_.first_query = prompt.q ? prompt.first_query : n;
    const std::size_t queries = n - view_.first_query, query_room = room - view_.first_query;
    q_ = with_room(prompt.q, prompt.q_stride, shape.query_heads, queries, query_room, dim);
    k_ = with_room(prompt.k, prompt.k_stride, shape.kv_heads, n, room, dim);
    v_ = with_room(prompt.v, prompt.v_stride, shape.kv_heads, n, room, dim);
    view_.q = q_.data();
    view_.k = k_.data();
    view_.v = v_.data();
    view_.q_stride = query_room * dim;
    view_.k_stride = view_.v_stride = room * dim;
    rope_.assign(prompt.rope_inv_freq.begin(), prompt.rope_inv_freq.end());
    view_.rope_inv_freq = rope_;
    token_type_.assign(padded(room), 0.0);
    if (prompt.token_type) std::copy_n(prompt.token_type, n, token_type_.begin());
    view_.token_type = token_type_.data();
    view_.token_type_stride = 0;
    if (prompt.wov_norm) {
        wov_norm_.assign(shape.query_heads * room, 0.0F);
        for (std::size_t h = 0; h < shape.query_heads; ++h)
            std::copy_n(prompt.wov_norm + h * prompt.shape.tokens, n,
                        wov_norm_.begin() + static_cast<std::ptrdiff_t>(h * room));
        view_.wov_norm = wov_norm_.data();
    }
    if (prompt.wo_gram) {
        wo_gram_.assign(prompt.wo_gram, prompt.wo_gram + shape.query_heads * dim * dim);
        view_.wo_gram = wo_gram_.data();
    }
}

KeptSets LayerDecoding::first(double removed_fraction) {
    KeptSets kept = chooser_->first(removed_fraction);
    for (std::size_t a = 0; a < heads_.size(); ++a)
        for (const std::uint32_t position : kept[a]) heads_[a].add(position);
    return kept;
}

void LayerDecoding::take(const DecodedToken& token) {
    const LayerShape& shape = view_.shape;
    if (next_ == shape.tokens)
        throw UsageError(fmt::format("token {} comes, and there is room for {}", next_ + 1, shape.tokens));
    const auto put = [&](AlignedFloats& to, std::size_t heads, std::size_t stride, std::size_t row, const float* from,
                         std::ptrdiff_t from_stride) {
        for (std::size_t h = 0; h < heads; ++h)
            std::copy_n(from + static_cast<std::ptrdiff_t>(h) * from_stride, shape.dim,
                        to.begin() + static_cast<std::ptrdiff_t>(h * stride + row * shape.dim));
    };
    put(q_, shape.query_heads, view_.q_stride, next_ - view_.first_query, token.q, token.q_stride);
    put(k_, shape.kv_heads, view_.k_stride, next_, token.k, token.k_stride);
    put(v_, shape.kv_heads, view_.v_stride, next_, token.v, token.v_stride);
    token_type_[next_] = token.token_type;
    for (std::size_t h = 0; view_.wov_norm && h < shape.query_heads; ++h)
        wov_norm_[h * shape.tokens + next_] = token.wov_norm[h];
    ++next_;
}

std::optional<KeptSets> LayerDecoding::step(const DecodedToken& token, std::size_t capacity) {
    take(token);
    for (CachedHead& head : heads_) {
        head.add(next_ - 1);
        head.attend(next_ - 1);
    }
    chooser_->saw(heads_);
    if (capacity == 0 || !chooser_->full(heads_, capacity)) return std::nullopt;
    KeptSets slots = chooser_->again(heads_, capacity);
    for (std::size_t a = 0; a < heads_.size(); ++a) heads_[a].keep(slots[a]);
    return slots;
}

} // namespace evictlab
