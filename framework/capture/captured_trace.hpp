// A captured trace: queries, keys and values of one document in a real model, in one safetensors file. Attention is not
// in it; it is computed from q and k.
// SPDX-License-Identifier: MIT
#pragma once
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "framework/aligned.hpp"
#include "framework/suite/trace.hpp"

namespace evictlab {

class OutputProjections;
class SafetensorsFile;

struct LayerShape {
    std::size_t query_heads = 0;
    std::size_t kv_heads = 0; ///< divides query_heads; query head h reads KV head h / group()
    std::size_t tokens = 0;
    std::size_t dim = 0; ///< of a head; even
    std::size_t group() const { return query_heads / kv_heads; }
    bool operator==(const LayerShape&) const = default;
};

/// Queries, keys and values of one layer in somebody else's memory: as LayerTensors, but with room between heads. Rows
/// of `dim` lie one after another.
struct LayerArrays {
    LayerShape shape;
    const float *q = nullptr, *k = nullptr, *v = nullptr; ///< q may be null where nobody reads queries
    std::size_t q_stride = 0, k_stride = 0, v_stride = 0; ///< floats from one head to the next
    std::size_t first_query = 0;                          ///< position of q's first row
    std::span<const float> rope_inv_freq;
    float rope_scale = 1, softmax_scale = 0;
    std::size_t sliding_window = 0;

    const float* query(std::size_t head, std::size_t position) const {
        return q + head * q_stride + (position - first_query) * shape.dim;
    }
    const float* key(std::size_t kv_head, std::size_t position) const {
        return k + kv_head * k_stride + position * shape.dim;
    }
    const float* value(std::size_t kv_head, std::size_t position) const {
        return v + kv_head * v_stride + position * shape.dim;
    }
};

/// One held layer, dequantised. q is [query_heads][tokens][dim], k and v are [kv_heads][tokens][dim]: contiguous,
/// 64-byte aligned, as the attention uses them (after RoPE and any normalisation of queries and keys), all values
/// finite.
struct LayerTensors {
    LayerShape shape;
    AlignedFloats q, k, v;
    std::vector<float> rope_inv_freq; ///< [dim / 2], radians a position; of pairs (t, t + dim/2)
    float rope_scale = 1;             ///< what RoPE multiplies cosines and sines by
    float softmax_scale = 0;          ///< attention = softmax(softmax_scale * q.k)
    std::size_t sliding_window = 0;   ///< query i sees keys j with i - j < sliding_window; 0: all keys j <= i
    std::vector<float> wov_l1;        ///< [query_heads][tokens], of CriticalKV; empty where the trace has none

    LayerArrays arrays() const; ///< of this object's memory
};

/// The split that a trace says it is of. `test_other_model` holds a second model's documents.
enum class CapturedSplit : std::uint8_t { none, train, valid, test, test_other_model };
std::string_view to_string(CapturedSplit split); ///< "" for none
std::optional<CapturedSplit> captured_split(std::string_view text);

/// How a trace is opened.
struct CaptureOptions {
    std::string name;            ///< Trace::name(); the document where empty
    std::string kind;            ///< of document, as prose or code; the metadata's where empty
    std::string left_out{};      ///< CapturedTrace::left_out()
    bool sliding_layers = false; ///< also judge layers with a sliding window; by default eviction leaves them alone
    std::shared_ptr<const OutputProjections> projections{}; ///< of the trace's model, where there are any
    std::string projections_model{}; ///< whose they are: a trace of another has none; empty: the trace's
};

/// Immutable and thread-safe. The file is mapped, not read: it must not be changed or cut while the trace is open.
class CapturedTrace final : public Trace {
public:
    /// Checks everything but the values of the large tensors, which load_layer() checks. Throws Error with file and
    /// tensor.
    explicit CapturedTrace(const std::filesystem::path& file, CaptureOptions options = {});
    ~CapturedTrace() override;

    // As `rescore` reads it: a head is a KV head, and its row is the mean over its query heads' attention.
    const std::string& name() const override { return options_.name; }
    std::size_t seq_len() const override { return token_ids_.size(); }
    std::size_t num_layers() const override { return num_layers_; }
    std::size_t heads() const override { return kv_heads_; }
    const double* token_type() const override { return token_type_.data(); }
    std::vector<std::size_t> held_layers() const override; ///< of layers(), those that eviction judges
    std::unique_ptr<LayerReader> open_layer(std::size_t layer) const override;
    const CapturedTrace* captured() const override { return this; }

    const std::filesystem::path& file() const { return file_; }
    const SafetensorsFile& tensors() const { return *tensors_; }
    const std::string& model() const { return model_; }
    const std::string& document() const { return document_; }
    const std::string& kind() const { return options_.kind; } ///< "" where nobody says
    /// Why the document carries no claim: the model cannot do it by itself; "" where it can, or nobody says.
    const std::string& left_out() const { return options_.left_out; }
    /// A metadata text such as weights, text_source, licence or captured_by; "" where there is none.
    const std::string& text(const std::string& key) const;
    CapturedSplit split() const { return split_; }
    /// All layers in the file, ascending.
    std::span<const std::size_t> layers() const { return layers_; }
    std::size_t prompt_len() const { return prompt_len_; } ///< from 1 to seq_len(); the rest is the continuation
    std::span<const std::int32_t> token_ids() const { return token_ids_; }
    bool has_token_type() const { return has_token_type_; } ///< where not, token_type() is all 0 and for nobody to read
    float softmax_scale() const { return softmax_scale_; }
    /// `layer` of these four is the model's number of a layer in layers(); Error for another.
    LayerShape shape(std::size_t layer) const;
    std::size_t sliding_window(std::size_t layer) const;
    bool has_wov_l1(std::size_t layer) const;
    /// Probes of the sensitivity that every layer in the file holds; 0 where it holds none.
    std::size_t probes() const { return probes_; }
    /// How the model's predictions hang on the heads' outputs: [probes][seq_len - prompt_len][query_heads * dim],
    /// gradients of the signed sum of drawn tokens' log-likelihoods (tools/src/evictlab_tools/sensitivity.py). Empty
    /// where there are none.
    AlignedFloats load_sensitivity(std::size_t layer) const;
    /// A fresh copy each call. Error with file, tensor and place where a value is not finite.
    LayerTensors load_layer(std::size_t layer) const;
    /// The model's output projections; null where the suite has none.
    const OutputProjections* output_projections() const { return options_.projections.get(); }

private:
    std::size_t index_of(std::size_t layer) const;

    std::filesystem::path file_;
    CaptureOptions options_;
    std::unique_ptr<const SafetensorsFile> tensors_;
    std::string model_, document_;
    CapturedSplit split_ = CapturedSplit::none;
    std::size_t num_layers_ = 0, prompt_len_ = 0, kv_heads_ = 0, probes_ = 0;
    std::vector<std::size_t> layers_, sliding_windows_; ///< [held]
    std::vector<LayerShape> shapes_;                    ///< [held]
    float softmax_scale_ = 0;
    std::vector<std::int32_t> token_ids_;
    std::vector<double> token_type_; ///< padded
    bool has_token_type_ = false;
};

} // namespace evictlab
