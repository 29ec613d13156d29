// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include "framework/capture/captured_suite.hpp"
#include "framework/capture/float_tensor.hpp"
#include "framework/capture/safetensors.hpp"

namespace evictlab {
namespace {

std::string projection_name(std::size_t layer) { return fmt::format("layers.{}.o_proj", layer); }

} // namespace

OutputProjections::OutputProjections(const std::filesystem::path& file)
    : file_(file), tensors_(std::make_unique<SafetensorsFile>(file)) {
    for (const TensorInfo& tensor : tensors_->tensors()) {
        if (!tensor.name.starts_with("layers.") || !tensor.name.ends_with(".o_proj")) continue;
        if (!is_float(tensor.type))
            tensors_->fail(tensor.name, fmt::format("is {}, but must be F32, F16 or BF16", to_string(tensor.type)));
        if (tensor.shape.size() != 2 || tensor.values() == 0)
            tensors_->fail(tensor.name, fmt::format("its shape is {}, but must be [hidden, query heads * dim]",
                                                    shape_text(tensor.shape)));
    }
}

OutputProjections::~OutputProjections() = default;

bool OutputProjections::has(std::size_t layer) const { return tensors_->find(projection_name(layer)) != nullptr; }

std::size_t OutputProjections::hidden(std::size_t layer) const { return tensors_->at(projection_name(layer)).shape[0]; }

std::size_t OutputProjections::input_size(std::size_t layer) const {
    return tensors_->at(projection_name(layer)).shape[1];
}

AlignedFloats OutputProjections::load(std::size_t layer) const {
    return load_floats(*tensors_, tensors_->at(projection_name(layer)));
}

} // namespace evictlab
