// The names that files and options know protocols and measures by. SPDX-License-Identifier: MIT
#pragma once
#include <array>
#include <cstddef>
#include <string_view>

namespace evictlab {

inline constexpr std::array<std::string_view, 3> protocol_names{"rescore", "prefill", "decode"};
inline constexpr std::array<std::string_view, 3> measure_names{"attention_loss", "output_error", "predicted_kl"};
/// A bench has no more: its results are read again within limits.
inline constexpr std::size_t most_retentions = 512;
/// In which a plugin can break (PluginError::phase).
inline constexpr std::array<std::string_view, 7> phase_names{"find",   "load",  "create", "score",
                                                             "budget", "check", "destroy"};

} // namespace evictlab
