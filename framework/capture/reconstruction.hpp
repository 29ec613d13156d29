// What a second pass of the model over a trace's prompt gave: NAME.reconstruction.safetensors, beside the trace's file.
// SPDX-License-Identifier: MIT
#pragma once
#include <filesystem>
#include <string_view>
#include <vector>

#include "framework/capture/safetensors.hpp"

namespace evictlab {

class CapturedTrace;

inline constexpr std::string_view reconstruction_format = "evictlab-reconstruction/1";

/// Where the second pass of a trace's file lies, if there is one.
std::filesystem::path reconstruction_beside(const std::filesystem::path& trace);

/// Immutable and thread-safe; mapped as traces are.
class Reconstruction {
public:
    /// Checks that it is the trace's: the prompt, every layer's shape and, where it is not "", the SHA-256 of the
    /// trace's file. Throws Error with file and tensor or key.
    Reconstruction(const std::filesystem::path& file, const CapturedTrace& trace, std::string_view trace_sha256);

    const SafetensorsFile& tensors() const { return file_; }
    /// [3][kv_heads][prompt]: of KVzip, KVzip+ and KVgrad. Error where a value is not finite.
    std::vector<float> load(std::size_t layer) const;

private:
    SafetensorsFile file_;
};

} // namespace evictlab
