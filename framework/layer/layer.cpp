// SPDX-License-Identifier: MIT
#include "framework/layer/layer.hpp"

#include <algorithm>
#include <cmath>

namespace evictlab {

evl_tensors LayerView::tensors() const {
    evl_tensors out{};
    out.struct_size = sizeof(evl_tensors);
    out.query_heads = static_cast<std::uint32_t>(shape.query_heads);
    out.kv_heads = static_cast<std::uint32_t>(shape.kv_heads);
    out.tokens = static_cast<std::uint32_t>(prompt);
    out.dim = static_cast<std::uint32_t>(shape.dim);
    out.q = q;
    out.k = k;
    out.v = v;
    out.q_stride = static_cast<std::ptrdiff_t>(q_stride);
    out.k_stride = static_cast<std::ptrdiff_t>(k_stride);
    out.v_stride = static_cast<std::ptrdiff_t>(v_stride);
    out.softmax_scale = static_cast<double>(softmax_scale);
    out.sliding_window = sliding_window;
    out.rope_inv_freq = rope_inv_freq.data();
    out.rope_scale = static_cast<double>(rope_scale);
    out.wov_norm = wov_norm;
    out.wov_norm_stride = static_cast<std::ptrdiff_t>(shape.tokens);
    return out;
}

std::size_t LayerView::tokens_before(std::size_t kv_head, std::size_t position) const {
    if (!positions) return position;
    const double* const first = positions + kv_head * positions_stride;
    return static_cast<std::size_t>(std::lower_bound(first, first + prompt, static_cast<double>(position)) - first);
}

HeadTensors LayerView::head(std::size_t kv_head, std::size_t queries) const {
    HeadTensors out;
    out.group = shape.group();
    out.dim = shape.dim;
    out.queries = queries;
    out.q_stride = q_stride;
    out.first_query = first_query;
    if (q) out.q = query(kv_head * out.group, first_query);
    out.k = key(kv_head, 0);
    out.v = value(kv_head, 0);
    if (wov_norm) out.wov_norm = wov_norm + kv_head * out.group * shape.tokens;
    out.wov_stride = shape.tokens;
    if (wo_gram) out.wo_gram = wo_gram + kv_head * out.group * shape.dim * shape.dim;
    for (std::size_t kind = 0; kind < reconstruction.size(); ++kind)
        if (reconstruction[kind]) out.reconstruction[kind] = reconstruction[kind] + kv_head * prompt;
    out.rope_inv_freq = rope_inv_freq;
    out.rope_scale = rope_scale;
    out.softmax_scale = softmax_scale;
    out.kv_head = kv_head;
    out.calibration = calibration;
    return out;
}

std::vector<double> LayerView::key_norms(std::size_t kv_head, std::size_t count) const {
    std::vector<double> norms(padded(count));
    const float* keys = key(kv_head, 0);
    for (std::size_t i = 0; i < count; ++i) {
        double squares = 0;
        for (std::size_t x = 0; x < shape.dim; ++x) {
            const auto value = static_cast<double>(keys[i * shape.dim + x]);
            squares += value * value;
        }
        norms[i] = std::sqrt(squares);
    }
    return norms;
}

LayerView OwnedLayer::view() const {
    LayerView out;
    out.shape = shape;
    out.q = q.data();
    out.k = k.data();
    out.v = v.data();
    out.q_stride = out.k_stride = out.v_stride = shape.tokens * shape.dim;
    out.rope_inv_freq = rope_inv_freq;
    out.rope_scale = rope_scale;
    out.softmax_scale = softmax_scale;
    out.sliding_window = sliding_window;
    out.layer = layer;
    out.num_layers = num_layers;
    out.prompt = prompt;
    out.token_type = token_type;
    out.wov_norm = wov_norm.empty() ? nullptr : wov_norm.data();
    out.calibration = calibration;
    out.wo_gram = wo_gram.empty() ? nullptr : wo_gram.data();
    for (std::size_t kind = 0; kind < out.reconstruction.size() && !reconstruction.empty(); ++kind)
        out.reconstruction[kind] = reconstruction.data() + kind * shape.kv_heads * prompt;
    return out;
}

} // namespace evictlab
