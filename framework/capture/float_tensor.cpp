// SPDX-License-Identifier: MIT
#include "framework/capture/float_tensor.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "base/input/input.hpp"
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

[[noreturn]] void fail_at(const SafetensorsFile& file, const TensorInfo& tensor, std::size_t index, bool nan) {
    file.fail(tensor.name, fmt::format("the value at {} is {}, but all must be finite; capture the file again",
                                       place_text(index, tensor.shape), nan ? "not a number" : "infinite"));
}

/// `values` are those of the tensor from `first` on.
void check_finite(const SafetensorsFile& file, const TensorInfo& tensor, std::span<const float> values,
                  std::size_t first = 0) {
    if (all_finite(values.data(), values.size())) return;
    const auto bad = std::ranges::find_if(values, [](float value) { return !std::isfinite(value); });
    fail_at(file, tensor, first + static_cast<std::size_t>(bad - values.begin()), std::isnan(*bad));
}

void convert(DType type, const std::byte* from, std::size_t n, float* to) {
    if (type == DType::f32)
        floats_from_f32(from, n, to);
    else if (type == DType::f16)
        floats_from_f16(from, n, to);
    else
        floats_from_bf16(from, n, to);
}

/// Of types that nothing here computes with.
bool is_finite_value(DType type, const std::byte* at) {
    if (type == DType::f64) {
        double value = 0;
        std::memcpy(&value, at, sizeof value);
        return std::isfinite(value);
    }
    const auto magnitude = std::to_integer<unsigned>(*at) & 0x7fU;
    if (type == DType::f8_e4m3) return magnitude != 0x7fU;
    return type != DType::f8_e5m2 || magnitude < 0x7cU;
}

constexpr std::size_t block_values = std::size_t{1} << 18;

} // namespace

bool is_float(DType type) { return type == DType::f32 || type == DType::f16 || type == DType::bf16; }

AlignedFloats load_floats(const SafetensorsFile& file, const TensorInfo& tensor) {
    if (!is_float(tensor.type))
        file.fail(tensor.name, fmt::format("is {}, but must be F32, F16 or BF16", to_string(tensor.type)));
    AlignedFloats values(tensor.values());
    convert(tensor.type, file.bytes(tensor).data(), values.size(), values.data());
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

void check_all_finite(const SafetensorsFile& file, const TensorInfo& tensor) {
    const bool known = is_float(tensor.type);
    if (!known && tensor.type != DType::f64 && tensor.type != DType::f8_e4m3 && tensor.type != DType::f8_e5m2) return;
    const std::size_t size = size_of(tensor.type), values = tensor.values();
    const std::byte* const from = file.bytes(tensor).data();
    std::vector<float> block(known ? std::min(values, block_values) : 0);
    for (std::size_t first = 0; first < values; first += block_values) {
        input::stop_if_requested();
        const std::size_t n = std::min(block_values, values - first);
        if (known) {
            convert(tensor.type, from + first * size, n, block.data());
            check_finite(file, tensor, std::span(block).first(n), first);
        }
        for (std::size_t i = first; !known && i < first + n; ++i)
            if (!is_finite_value(tensor.type, from + i * size)) fail_at(file, tensor, i, false);
    }
}

void check_all_finite(const SafetensorsFile& file, const TensorInfo& tensor, const TensorInfo& scale) {
    const std::byte* const stored = file.bytes(tensor).data();
    const std::byte* const scales = file.bytes(scale).data();
    const std::size_t rows = scale.values(), dim = rows == 0 ? 0 : tensor.values() / rows, size = size_of(scale.type);
    std::vector<float> values(dim);
    for (std::size_t row = 0; row < rows; ++row) {
        if (row % 4096 == 0) input::stop_if_requested();
        float factor = 0;
        convert(scale.type, scales + row * size, 1, &factor);
        floats_from_i8(stored + row * dim, factor, dim, values.data());
        check_finite(file, tensor, values, row * dim);
    }
}

} // namespace evictlab
