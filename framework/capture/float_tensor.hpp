// Stored tensors as floats.
// SPDX-License-Identifier: MIT
#pragma once
#include <string_view>

#include "base/numeric/aligned.hpp"
#include "framework/capture/safetensors.hpp"

namespace evictlab {

/// F32, F16 and BF16: what is read without a scale.
bool is_float(DType type);
/// The values of a tensor of such a type. Throws Error with file, tensor and index where one is not finite.
AlignedFloats load_floats(const SafetensorsFile& file, const TensorInfo& tensor);
/// `tensor` is I8 [heads][tokens][dim] and `scale` a float tensor [heads][tokens].
AlignedFloats load_scaled(const SafetensorsFile& file, const TensorInfo& tensor, const TensorInfo& scale);

/// Throws Error where a value of the tensor, of any type, is not finite. Block by block: it takes no memory, and throws
/// input::Stopped soon after the program was asked to stop.
void check_all_finite(const SafetensorsFile& file, const TensorInfo& tensor);
/// The same of the values that an I8 tensor and its scale make together.
void check_all_finite(const SafetensorsFile& file, const TensorInfo& tensor, const TensorInfo& scale);

} // namespace evictlab
