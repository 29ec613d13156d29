// SPDX-License-Identifier: MIT
#include "engine/query_tap.hpp"

#include <ggml-backend.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <string_view>
#include <utility>

namespace evictlab::engine {
namespace {

float float_param(const ggml_tensor* tensor, std::size_t index) {
    float value = 0;
    std::memcpy(&value, &tensor->op_params[index], sizeof value);
    return value;
}

/// Where attention is not flash attention: the products of keys and queries, and the softmax of these.
bool is_product(const ggml_tensor* tensor) {
    return tensor->op == GGML_OP_MUL_MAT && std::string_view(tensor->name).starts_with("kq-");
}
bool is_softmax(const ggml_tensor* tensor) {
    return tensor->op == GGML_OP_SOFT_MAX && std::string_view(tensor->name).starts_with("kq_soft_max");
}

/// The RoPE that made the queries, behind which there are only views and factors; null where there is something else.
const ggml_tensor* rope_of(const ggml_tensor* queries, float& factor) {
    for (const ggml_tensor* at = queries; at != nullptr; at = at->src[0]) switch (at->op) {
        case GGML_OP_ROPE:
            return at;
        case GGML_OP_VIEW:
        case GGML_OP_PERMUTE:
        case GGML_OP_RESHAPE:
        case GGML_OP_CONT:
            continue;
        case GGML_OP_SCALE:
            if (float_param(at, 1) != 0.0F) return nullptr; // something is added
            factor *= float_param(at, 0);
            continue;
        default:
            return nullptr;
        }
    return nullptr;
}

/// Why the way that RoPE turns is not handled; null where it is.
const char* refused_rope(const ggml_tensor* rope, std::int64_t dim) {
    if (rope == nullptr) return "a layer's queries are not what RoPE made of them, but changed once more or not turned";
    if (rope->op_params[1] != dim) return "RoPE turns only a part of each head";
    if (rope->op_params[2] != GGML_ROPE_TYPE_NORMAL && rope->op_params[2] != GGML_ROPE_TYPE_NEOX)
        return "its RoPE is of a kind other than NORM and NEOX";
    if (rope->src[2] != nullptr) return "its RoPE has factors of its own for each frequency, as Llama 3's has";
    if (float_param(rope, 7) != 0.0F) return "its RoPE is stretched by YaRN";
    if (float_param(rope, 8) != 1.0F) return "its RoPE scales queries and keys";
    return nullptr;
}

} // namespace

void to_half_split(std::span<float> vector) {
    std::array<float, 1024> odd; // heads are far smaller
    const std::size_t half = vector.size() / 2;
    for (std::size_t t = 0; t < half; ++t) {
        odd[t] = vector[2 * t + 1];
        vector[t] = vector[2 * t];
    }
    std::copy_n(odd.begin(), half, vector.begin() + static_cast<std::ptrdiff_t>(half));
}

QueryTap::QueryTap(std::size_t layers, std::vector<std::size_t> seen, bool interleaved)
    : interleaved_(interleaved), seen_(std::move(seen)), layers_(layers) {
    for (const std::size_t number : seen_) layers_[number].seen = true;
}

void QueryTap::record(std::size_t skip) {
    recording_ = true;
    for (Layer& layer : layers_) layer.skip = skip;
}

std::size_t QueryTap::rows() const { return heads_ == 0 ? 0 : layers_[seen_.front()].queries.size() / (heads_ * dim_); }

void QueryTap::take_over(const QueryTap& from, const std::vector<std::vector<std::vector<std::uint32_t>>>& kept) {
    heads_ = from.heads_;
    dim_ = from.dim_;
    for (std::size_t at = 0; at < seen_.size(); ++at) {
        const Layer& source = from.layers_[seen_[at]];
        Layer& layer = layers_[seen_[at]];
        layer.attention = source.attention;
        const std::size_t rows = kept[at].front().size(), group = heads_ / kept[at].size();
        std::vector<float> taken(rows * heads_ * dim_);
        for (std::size_t j = 0; j < rows; ++j)
            for (std::size_t h = 0; h < heads_; ++h)
                std::copy_n(source.queries.data() + (kept[at][h / group][j] * heads_ + h) * dim_, dim_,
                            taken.data() + (j * heads_ + h) * dim_);
        layer.queries = std::move(taken);
    }
}

void QueryTap::take_latest(const QueryTap& from, std::size_t count) {
    heads_ = from.heads_;
    dim_ = from.dim_;
    const std::size_t rows = from.rows(), gone = (rows - std::min(rows, count)) * heads_ * dim_;
    for (const std::size_t number : seen_) {
        const Layer& source = from.layers_[number];
        Layer& layer = layers_[number];
        layer.attention = source.attention;
        const auto first = source.queries.begin() + static_cast<std::ptrdiff_t>(gone);
        if (this == &from)
            layer.queries.erase(layer.queries.begin(), first);
        else
            layer.queries.assign(first, source.queries.end());
    }
}

std::string QueryTap::refusal() const {
    if (!refusal_.empty()) return refusal_;
    return complete_ ? "" : "not all of its layers compute attention of the kind that queries are read from";
}

void QueryTap::note_queries(const ggml_tensor* queries, Layer& layer) {
    const auto dim = static_cast<std::size_t>(queries->ne[0]), heads = static_cast<std::size_t>(queries->ne[2]);
    if (queries->type != GGML_TYPE_F32 || queries->ne[3] != 1 || dim % 2 != 0 || dim > 1024)
        return refuse("its queries are not plain F32 vectors of an even size up to 1024");
    if (dim_ != 0 && (dim != dim_ || heads != heads_)) return refuse("its layers have heads of different shapes");
    dim_ = dim;
    heads_ = heads;
    layer.query_factor = 1;
    const ggml_tensor* rope = rope_of(queries, layer.query_factor);
    if (const char* why = refused_rope(rope, queries->ne[0])) return refuse(why);
    if (!(layer.query_factor > 0)) return refuse("its queries are multiplied by no positive number");
    layer.attention.rope_base = float_param(rope, 5);
    layer.attention.rope_factor = float_param(rope, 6);
}

/// Of flash attention, or of the softmax where attention is computed in parts.
void QueryTap::note_scale(const ggml_tensor* attention, Layer& layer) {
    const bool flash = attention->op == GGML_OP_FLASH_ATTN_EXT;
    if (float_param(attention, 1) != 0.0F) return refuse("its attention has ALiBi");
    if (flash ? float_param(attention, 2) != 0.0F : !is_product(attention->src[0]))
        return refuse("its attention's logits are capped");
    if (attention->src[flash ? 4 : 2] != nullptr) return refuse("its attention has learned sinks");
    layer.attention.softmax_scale = layer.query_factor * float_param(attention, 0);
}

void QueryTap::take(const ggml_tensor* queries, Layer& layer) {
    if (!ggml_backend_buffer_is_host(queries->view_src ? queries->view_src->buffer : queries->buffer))
        return refuse("its queries are not in the processor's memory");
    const auto tokens = static_cast<std::size_t>(queries->ne[1]);
    const std::size_t skipped = std::min(tokens, layer.skip);
    layer.skip -= skipped;
    const std::size_t row = heads_ * dim_, before = layer.queries.size();
    layer.queries.resize(before + (tokens - skipped) * row);
    float* to = layer.queries.data() + before;
    for (std::size_t i = skipped; i < tokens; ++i)
        for (std::size_t h = 0; h < heads_; ++h, to += dim_) {
            const char* from = static_cast<const char*>(queries->data) + i * queries->nb[1] + h * queries->nb[2];
            std::memcpy(to, from, dim_ * sizeof(float));
            if (layer.query_factor != 1.0F)
                for (std::size_t x = 0; x < dim_; ++x) to[x] /= layer.query_factor;
            if (interleaved_) to_half_split({to, dim_});
        }
}

bool QueryTap::on_eval(ggml_tensor* tensor, bool ask, void* tap) {
    auto& self = *static_cast<QueryTap*>(tap);
    const bool flash = tensor->op == GGML_OP_FLASH_ATTN_EXT, product = is_product(tensor);
    if (!self.recording_ || !(flash || product || is_softmax(tensor))) return !ask;
    // Layers follow one another: each needs what the one before put out.
    Layer& layer = self.layers_[self.next_];
    const ggml_tensor* queries = flash ? tensor->src[0] : product ? tensor->src[1] : nullptr;
    if (ask && layer.seen) {
        if (queries != nullptr) self.note_queries(queries, layer);
        if (!product) self.note_scale(tensor, layer);
    }
    if (ask) return true;
    if (queries != nullptr && layer.seen && self.refusal_.empty()) self.take(queries, layer);
    if (product) return true; // its softmax follows
    self.next_ = (self.next_ + 1) % self.layers_.size();
    if (self.next_ == 0) self.complete_ = true;
    return true;
}

} // namespace evictlab::engine
