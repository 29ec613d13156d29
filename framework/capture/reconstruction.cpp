// SPDX-License-Identifier: MIT
#include "framework/capture/reconstruction.hpp"

#include <fmt/format.h>

#include "base/text/shown.hpp"
#include "framework/capture/captured_trace.hpp"
#include "framework/capture/float_tensor.hpp"

namespace evictlab {
namespace {

constexpr std::string_view kinds = "plain,plus,grad";

std::string tensor_name(std::size_t layer) { return fmt::format("layers.{}.reconstruction", layer); }

void check_text(const SafetensorsFile& file, const std::string& key, std::string_view wanted, std::string_view why) {
    const auto found = file.metadata().find(key);
    const std::string_view here = found == file.metadata().end() ? std::string_view() : found->second;
    if (here == wanted) return;
    file.fail(
        fmt::format("its metadata '{}' is {}, but must be {}: {}", key, text::named(here), text::named(wanted), why));
}

} // namespace

std::filesystem::path reconstruction_beside(const std::filesystem::path& trace) {
    return std::filesystem::path(trace).replace_extension(".reconstruction.safetensors");
}

Reconstruction::Reconstruction(const std::filesystem::path& file, const CapturedTrace& trace,
                               std::string_view trace_sha256)
    : file_(file) {
    const std::string redo =
        fmt::format("it is no second pass over {}; `evictlab-capture MODEL --reconstruct --out FOLDER` makes it anew",
                    trace.file().filename().string());
    check_text(file_, "format", reconstruction_format, redo);
    check_text(file_, "kinds", kinds, redo);
    check_text(file_, "document", trace.document(), redo);
    check_text(file_, "prompt_len", std::to_string(trace.prompt_len()), redo);
    if (!trace_sha256.empty()) check_text(file_, "trace", trace_sha256, redo);
    for (const std::size_t layer : trace.layers()) {
        const TensorInfo& tensor = file_.at(tensor_name(layer));
        const std::vector<std::size_t> wanted{3, trace.shape(layer).kv_heads, trace.prompt_len()};
        if (tensor.type != DType::f32 || tensor.shape != wanted)
            file_.fail(tensor.name, fmt::format("is {} {}, but must be F32 {}: {}", to_string(tensor.type),
                                                shape_text(tensor.shape), shape_text(wanted), redo));
    }
}

std::vector<float> Reconstruction::load(std::size_t layer) const {
    const AlignedFloats values = load_floats(file_, file_.at(tensor_name(layer)));
    return {values.begin(), values.end()};
}

} // namespace evictlab
