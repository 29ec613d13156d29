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

#include "base/numeric/aligned.hpp"
#include "framework/layer/layer.hpp"
#include "framework/suite/trace.hpp"

namespace evictlab {

class OutputProjections;
class Reconstruction;
class SafetensorsFile;

/// The split that a trace says it is of. `test_other_model` holds a second model's documents.
enum class CapturedSplit : std::uint8_t { none, train, valid, test, test_other_model };
std::string_view to_string(CapturedSplit split); ///< "" for none
std::optional<CapturedSplit> captured_split(std::string_view text);

/// How a trace is opened.
struct CaptureOptions {
    std::string name;                       ///< Trace::name(); the document where empty
    std::string kind;                       ///< of document, as prose or code; the metadata's where empty
    std::string left_out{};                 ///< CapturedTrace::left_out()
    std::vector<std::size_t> answer_ends{}; ///< CapturedTrace::answer_ends()
    bool sliding_layers = false; ///< also judge layers with a sliding window; by default eviction leaves them alone
    std::shared_ptr<const OutputProjections> projections{}; ///< of the trace's model, where there are any
    std::filesystem::path reconstruction{};                 ///< the second pass's file; empty where there is none
    std::string sha256{};            ///< of the trace's file, which the second pass must be of; empty: unknown
    std::string projections_model{}; ///< whose they are: a trace of another has none; empty: the trace's
    std::shared_ptr<const Calibration> calibration{}; ///< of its model: a trace of another one has none
};

/// What a layer is given that follows from the model's output projections, if they are known.
struct LayerExtras {
    bool wov_norms = false; ///< OwnedLayer::wov_norm, where the file has no such norms
    bool wo_grams = false;  ///< OwnedLayer::wo_gram
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
    /// Positions of the last tokens of the continuation's answers; empty where it has none, or nobody says.
    std::span<const std::size_t> answer_ends() const { return options_.answer_ends; }
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
    /// A fresh copy each call, which refers to this trace's token types. Error with file, tensor and place where a
    /// value is not finite.
    OwnedLayer load_layer(std::size_t layer, LayerExtras extras = {}) const;
    /// Gives them to a layer of this trace that does not have them.
    void add_extras(OwnedLayer& layer, LayerExtras extras) const;
    /// What a second pass over the prompt gave; null where there was none.
    const Reconstruction* reconstruction() const { return reconstruction_.get(); }
    /// The model's output projections; null where the suite has none.
    const OutputProjections* output_projections() const { return options_.projections.get(); }
    const Calibration* calibration() const { return options_.calibration.get(); } ///< null where there is none

private:
    std::size_t index_of(std::size_t layer) const;

    std::filesystem::path file_;
    CaptureOptions options_;
    std::unique_ptr<const SafetensorsFile> tensors_;
    std::unique_ptr<const Reconstruction> reconstruction_;
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
