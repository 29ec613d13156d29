// The texts of a trace file's __metadata__, as what they mean.
// SPDX-License-Identifier: MIT
#pragma once
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "framework/capture/captured_trace.hpp"
#include "framework/capture/safetensors.hpp"

namespace evictlab {

inline constexpr std::string_view trace_format = "evictlab-trace/1";

struct TraceMetadata {
    std::string model, document, kind;
    CapturedSplit split = CapturedSplit::none;
    std::size_t num_layers = 0, prompt_len = 0; ///< both at least 1
    float softmax_scale = 0;                    ///< above 0
    /// Held layers, ascending, and the window of each.
    std::vector<std::size_t> layers, sliding_windows;
};

/// Throws Error with the file and the metadata's key.
TraceMetadata read_trace_metadata(const SafetensorsFile& file);

} // namespace evictlab
