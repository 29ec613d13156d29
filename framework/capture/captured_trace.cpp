// SPDX-License-Identifier: MIT
#include "framework/capture/captured_trace.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "framework/attention/captured_rows.hpp"
#include "framework/attention/wo_grams.hpp"
#include "framework/attention/wov_norms.hpp"
#include "framework/capture/captured_suite.hpp"
#include "framework/capture/float_tensor.hpp"
#include "framework/capture/reconstruction.hpp"
#include "framework/capture/safetensors.hpp"
#include "framework/capture/trace_metadata.hpp"

namespace evictlab {
namespace {

constexpr std::array<std::string_view, 5> split_names{"", "train", "valid", "test", "test_other_model"};
constexpr double largest_token_type = 3;
constexpr std::size_t most_tokens = std::size_t{1} << 24;

std::string tensor_name(std::size_t layer, std::string_view what) { return fmt::format("layers.{}.{}", layer, what); }

void check_shape(const SafetensorsFile& file, const TensorInfo& tensor, std::vector<std::size_t> wanted,
                 std::string_view meaning) {
    if (tensor.shape != wanted)
        file.fail(tensor.name, fmt::format("its shape is {}, but must be {}: {}", shape_text(tensor.shape),
                                           shape_text(wanted), meaning));
}

void check_type(const SafetensorsFile& file, const TensorInfo& tensor, DType wanted) {
    if (tensor.type != wanted)
        file.fail(tensor.name, fmt::format("is {}, but must be {}", to_string(tensor.type), to_string(wanted)));
}

/// q, k or v: a float type, or I8 with a scale for each head and token.
void check_stored(const SafetensorsFile& file, const TensorInfo& tensor) {
    const std::string scale_name = tensor.name + ".scale";
    const TensorInfo* const scale = file.find(scale_name);
    if (is_float(tensor.type)) {
        if (scale)
            file.fail(scale_name,
                      fmt::format("belongs to I8 values only, but {} is {}", tensor.name, to_string(tensor.type)));
        return;
    }
    if (tensor.type != DType::i8)
        file.fail(tensor.name, fmt::format("is {}, but must be F32, F16, BF16 or I8", to_string(tensor.type)));
    file.at(scale_name);
    if (scale->type != DType::f16 && scale->type != DType::f32)
        file.fail(scale_name, fmt::format("is {}, but must be F16 or F32", to_string(scale->type)));
    check_shape(file, *scale, {tensor.shape[0], tensor.shape[1]}, "a scale for each head and token");
}

AlignedFloats load_stored(const SafetensorsFile& file, const TensorInfo& tensor) {
    return tensor.type == DType::i8 ? load_scaled(file, tensor, file.at(tensor.name + ".scale"))
                                    : load_floats(file, tensor);
}

/// Checks all tensors of a layer.
LayerShape checked_shape(const SafetensorsFile& file, std::size_t layer, std::size_t tokens) {
    const TensorInfo &q = file.at(tensor_name(layer, "q")), &k = file.at(tensor_name(layer, "k")),
                     &v = file.at(tensor_name(layer, "v"));
    for (const TensorInfo* tensor : {&q, &k}) {
        if (tensor->shape.size() != 3)
            file.fail(tensor->name,
                      fmt::format("its shape is {}, but must be [heads, tokens, dim]", shape_text(tensor->shape)));
        if (tensor->shape[0] == 0 || tensor->shape[2] == 0 || tensor->shape[2] % 2 != 0)
            file.fail(tensor->name, fmt::format("its shape is {}, but it must have heads, and a dim that is even",
                                                shape_text(tensor->shape)));
        if (tensor->shape[1] != tokens)
            file.fail(tensor->name, fmt::format("its shape {} is of {} tokens, but token_ids has {}",
                                                shape_text(tensor->shape), tensor->shape[1], tokens));
    }
    const LayerShape shape{q.shape[0], k.shape[0], tokens, q.shape[2]};
    check_shape(file, k, {shape.kv_heads, tokens, shape.dim}, "the dim of the queries");
    check_shape(file, v, k.shape, "that of the keys");
    if (shape.query_heads % shape.kv_heads != 0)
        file.fail(q.name, fmt::format("has {} heads, which the {} KV heads of {} do not divide", shape.query_heads,
                                      shape.kv_heads, k.name));
    for (const TensorInfo* tensor : {&q, &k, &v}) check_stored(file, *tensor);
    const TensorInfo& rope = file.at(tensor_name(layer, "rope_inv_freq"));
    check_type(file, rope, DType::f32);
    check_shape(file, rope, {shape.dim / 2}, "half the dim of the keys");
    if (const TensorInfo* scale = file.find(tensor_name(layer, "rope_scale"))) {
        check_type(file, *scale, DType::f32);
        if (scale->values() != 1) file.fail(scale->name, "must be a single value");
    }
    if (const TensorInfo* norms = file.find(tensor_name(layer, "wov_l1"))) {
        if (!is_float(norms->type))
            file.fail(norms->name, fmt::format("is {}, but must be F32, F16 or BF16", to_string(norms->type)));
        check_shape(file, *norms, {shape.query_heads, tokens}, "a value for each query head and token");
    }
    return shape;
}

/// Probes of a layer's sensitivity; 0 where it has none.
std::size_t checked_probes(const SafetensorsFile& file, std::size_t layer, const LayerShape& shape,
                           std::size_t prompt_len) {
    const TensorInfo* const tensor = file.find(tensor_name(layer, "sensitivity"));
    if (!tensor) return 0;
    if (!is_float(tensor->type))
        file.fail(tensor->name, fmt::format("is {}, but must be F32, F16 or BF16", to_string(tensor->type)));
    const std::size_t probes = tensor->shape.empty() ? 0 : tensor->shape[0];
    if (probes == 0 || prompt_len == shape.tokens)
        file.fail(tensor->name, fmt::format("its shape is {}, but must be [probes, continuation, query heads * dim], "
                                            "none of them 0",
                                            shape_text(tensor->shape)));
    check_shape(file, *tensor, {probes, shape.tokens - prompt_len, shape.query_heads * shape.dim},
                "a value for each probe, token of the continuation, and channel of each query head");
    return probes;
}

std::vector<std::int32_t> read_token_ids(const SafetensorsFile& file) {
    const TensorInfo& tensor = file.at("token_ids");
    check_type(file, tensor, DType::i32);
    if (tensor.shape.size() != 1 || tensor.shape[0] == 0)
        file.fail(tensor.name, fmt::format("its shape is {}, but must be [tokens]", shape_text(tensor.shape)));
    if (tensor.shape[0] > most_tokens)
        file.fail(tensor.name, fmt::format("has {} tokens, more than {}", tensor.shape[0], most_tokens));
    std::vector<std::int32_t> ids(tensor.shape[0]);
    std::memcpy(ids.data(), file.bytes(tensor).data(), ids.size() * sizeof ids[0]);
    return ids;
}

std::vector<double> read_token_type(const SafetensorsFile& file, const TensorInfo& tensor, std::size_t tokens) {
    check_type(file, tensor, DType::u8);
    check_shape(file, tensor, {tokens}, "a type for each of token_ids");
    std::vector<double> types(padded(tokens));
    std::ranges::transform(file.bytes(tensor), types.begin(),
                           [](std::byte value) { return static_cast<double>(value); });
    const auto bad = std::ranges::find_if(types, [](double type) { return type > largest_token_type; });
    if (bad != types.end())
        file.fail(tensor.name, fmt::format("the type of token {} is {}, but must be 0 word, 1 punctuation or space, 2 "
                                           "special or 3 number",
                                           bad - types.begin(), *bad));
    return types;
}

} // namespace

std::string_view to_string(CapturedSplit split) { return split_names[static_cast<std::size_t>(split)]; }

std::optional<CapturedSplit> captured_split(std::string_view text) {
    const auto* const found = std::ranges::find(split_names, text);
    if (found == split_names.end()) return std::nullopt;
    return static_cast<CapturedSplit>(found - split_names.begin());
}

CapturedTrace::CapturedTrace(const std::filesystem::path& file, CaptureOptions options)
    : file_(file), options_(std::move(options)), tensors_(std::make_unique<SafetensorsFile>(file)) {
    TraceMetadata metadata = read_trace_metadata(*tensors_);
    model_ = std::move(metadata.model);
    document_ = std::move(metadata.document);
    if (!options_.projections_model.empty() && options_.projections_model != model_) options_.projections = nullptr;
    if (options_.calibration && options_.calibration->model != model_) options_.calibration = nullptr;
    if (options_.name.empty()) options_.name = document_;
    if (options_.kind.empty()) options_.kind = std::move(metadata.kind);
    split_ = metadata.split;
    num_layers_ = metadata.num_layers;
    layers_ = std::move(metadata.layers);
    sliding_windows_ = std::move(metadata.sliding_windows);
    softmax_scale_ = metadata.softmax_scale;
    token_ids_ = read_token_ids(*tensors_);
    prompt_len_ = metadata.prompt_len;
    if (prompt_len_ == 0 || prompt_len_ > token_ids_.size())
        tensors_->fail(fmt::format("its metadata 'prompt_len' is {}, but must be from 1 to the {} tokens of token_ids",
                                   prompt_len_, token_ids_.size()));
    const TensorInfo* const types = tensors_->find("token_type");
    has_token_type_ = types != nullptr;
    token_type_ = has_token_type_ ? read_token_type(*tensors_, *types, token_ids_.size())
                                  : std::vector<double>(padded(token_ids_.size()));
    for (const std::size_t layer : layers_) shapes_.push_back(checked_shape(*tensors_, layer, token_ids_.size()));
    for (std::size_t i = 0; i < layers_.size(); ++i) {
        const std::size_t probes = checked_probes(*tensors_, layers_[i], shapes_[i], prompt_len_);
        if (i > 0 && probes != probes_)
            tensors_->fail(tensor_name(layers_[i], "sensitivity"),
                           fmt::format("has {} probes, but layer {} has {}: all layers must have the same number",
                                       probes, layers_.front(), probes_));
        probes_ = probes;
    }
    kv_heads_ = shapes_.front().kv_heads;
    for (std::size_t i = 0; i < layers_.size(); ++i)
        if (shapes_[i].kv_heads != kv_heads_)
            tensors_->fail(tensor_name(layers_[i], "k"),
                           fmt::format("has {} heads, but layer {} has {}: all layers must have the same number",
                                       shapes_[i].kv_heads, layers_.front(), kv_heads_));
    if (!options_.reconstruction.empty())
        reconstruction_ =
            std::make_unique<Reconstruction>(options_.reconstruction, *this, std::string_view(options_.sha256));
}

CapturedTrace::~CapturedTrace() = default;

std::vector<std::size_t> CapturedTrace::held_layers() const {
    std::vector<std::size_t> held;
    for (std::size_t i = 0; i < layers_.size(); ++i)
        if (options_.sliding_layers || sliding_windows_[i] == 0) held.push_back(layers_[i]);
    return held;
}

const std::string& CapturedTrace::text(const std::string& key) const {
    static const std::string none;
    const auto found = tensors_->metadata().find(key);
    return found == tensors_->metadata().end() ? none : found->second;
}

std::size_t CapturedTrace::index_of(std::size_t layer) const {
    const auto found = std::ranges::find(layers_, layer);
    if (found == layers_.end())
        tensors_->fail(fmt::format("holds no layer {}; it holds {}", layer, fmt::join(layers_, ", ")));
    return static_cast<std::size_t>(found - layers_.begin());
}

LayerShape CapturedTrace::shape(std::size_t layer) const { return shapes_[index_of(layer)]; }

std::size_t CapturedTrace::sliding_window(std::size_t layer) const { return sliding_windows_[index_of(layer)]; }

bool CapturedTrace::has_wov_l1(std::size_t layer) const {
    index_of(layer);
    return tensors_->find(tensor_name(layer, "wov_l1")) != nullptr;
}

AlignedFloats CapturedTrace::load_sensitivity(std::size_t layer) const {
    index_of(layer);
    const TensorInfo* const tensor = tensors_->find(tensor_name(layer, "sensitivity"));
    return tensor ? load_floats(*tensors_, *tensor) : AlignedFloats{};
}

OwnedLayer CapturedTrace::load_layer(std::size_t layer, LayerExtras extras) const {
    const std::size_t index = index_of(layer);
    const auto stored = [&](std::string_view what) {
        return load_stored(*tensors_, tensors_->at(tensor_name(layer, what)));
    };
    OwnedLayer out;
    out.shape = shapes_[index];
    out.q = stored("q");
    out.k = stored("k");
    out.v = stored("v");
    const AlignedFloats rope = load_floats(*tensors_, tensors_->at(tensor_name(layer, "rope_inv_freq")));
    out.rope_inv_freq.assign(rope.begin(), rope.end());
    if (const TensorInfo* scale = tensors_->find(tensor_name(layer, "rope_scale")))
        out.rope_scale = load_floats(*tensors_, *scale).front();
    out.softmax_scale = softmax_scale_;
    out.sliding_window = sliding_windows_[index];
    out.layer = layer;
    out.num_layers = num_layers_;
    out.prompt = prompt_len_;
    out.token_type = token_type_.data();
    if (options_.calibration) out.calibration = options_.calibration->layer(layer);
    if (reconstruction_) out.reconstruction = reconstruction_->load(layer);
    if (const TensorInfo* norms = tensors_->find(tensor_name(layer, "wov_l1"))) {
        const AlignedFloats values = load_floats(*tensors_, *norms);
        out.wov_norm.assign(values.begin(), values.end());
    }
    add_extras(out, extras);
    return out;
}

void CapturedTrace::add_extras(OwnedLayer& out, LayerExtras extras) const {
    const std::size_t layer = out.layer;
    extras.wov_norms = extras.wov_norms && out.wov_norm.empty();
    if ((extras.wov_norms || extras.wo_grams) && output_projections() && output_projections()->has(layer)) {
        const AlignedFloats projection = output_projections()->load(layer);
        if (extras.wov_norms) out.wov_norm = wov_norms(out.view(), projection);
        if (extras.wo_grams) out.wo_gram = wo_grams(out.shape, projection);
    }
}

std::unique_ptr<LayerReader> CapturedTrace::open_layer(std::size_t layer) const {
    return make_captured_rows(load_layer(layer));
}

} // namespace evictlab
