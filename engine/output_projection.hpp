// The attention's output projections, read from the GGUF file: llama.cpp's public API gives no weights.
// SPDX-License-Identifier: MIT
#pragma once
#include <cstddef>
#include <filesystem>
#include <vector>

namespace evictlab::engine {

/// Of one layer, [hidden][width] with `width` inputs: of all query heads, one after another. Throws Error that names
/// the file where it has none, has it in another shape, or in a type that cannot be read.
std::vector<float> output_projection(const std::filesystem::path& gguf, std::size_t layer, std::size_t width);

} // namespace evictlab::engine
