// SPDX-License-Identifier: MIT
#include "framework/capture/float_tensor.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "framework/capture/stored_types.hpp"

namespace evictlab {
namespace {

/// Row-major, as "[3, 17, 0]".
std::string place_text(std::size_t index, std::span<const std::size_t> shape) {
    std::vector<std::size_t> place(shape.size());
    for (std::size_t axis = shape.size(); axis-- > 0;) {
        place[axis] = index % shape[axis];
        index /= shape[axis];
    }
    return shape_text(place);
}

void check_finite(const SafetensorsFile& file, const TensorInfo& tensor, const AlignedFloats& values) {
    if (all_finite(values.data(), values.size())) return;
    const auto bad = std::ranges::find_if(values, [](float value) { return !std::isfinite(value); });
    file.fail(tensor.name, fmt::format("the value at {} is {}, but all must be finite; capture the file again",
                                       place_text(static_cast<std::size_t>(bad - values.begin()), tensor.shape),
                                       std::isnan(*bad) ? "not a number" : "infinite"));
}

} // namespace

bool is_float(DType type) { return type == DType::f32 || type == DType::f16 || type == DType::bf16; }

AlignedFloats load_floats(const SafetensorsFile& file, const TensorInfo& tensor) {
    AlignedFloats values(tensor.values());
    const std::byte* const from = file.bytes(tensor).data();
    switch (tensor.type) {
    case DType::f32:
        floats_from_f32(from, values.size(), values.data());
        break;
    case DType::f16:
        floats_from_f16(from, values.size(), values.data());
        break;
    case DType::bf16:
        floats_from_bf16(from, values.size(), values.data());
        break;
    default:
        file.fail(tensor.name, fmt::format("is {}, but must be F32, F16 or BF16", to_string(tensor.type)));
    }
    check_finite(file, tensor, values);
    return values;
}

AlignedFloats load_scaled(const SafetensorsFile& file, const TensorInfo& tensor, const TensorInfo& scale) {
    const AlignedFloats scales = load_floats(file, scale);
    AlignedFloats values(tensor.values());
    const std::byte* const from = file.bytes(tensor).data();
    const std::size_t dim = tensor.shape.back();
    for (std::size_t row = 0; row < scales.size(); ++row)
        floats_from_i8(from + row * dim, scales[row], dim, values.data() + row * dim);
    check_finite(file, tensor, values);
    return values;
}

} // namespace evictlab
