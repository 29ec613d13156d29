// The JSON header of a safetensors file, read as events: no tree is built, so depth and size cost nothing.
// SPDX-License-Identifier: MIT
#pragma once
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "framework/capture/safetensors.hpp"

namespace evictlab {

struct SafetensorsHeader {
    std::map<std::string, std::string> metadata;
    std::vector<TensorInfo> tensors; ///< in the header's order, each with all its fields; not yet checked together
};

/// `fail` throws; it is given the tensor's name ("" where it is about the header as a whole) and what is wrong.
using HeaderFailure = std::function<void(std::string_view tensor, std::string_view what)>;
SafetensorsHeader parse_safetensors_header(std::string_view json, const HeaderFailure& fail);

} // namespace evictlab
