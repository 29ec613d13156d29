// Synthetic patterns: the seed's attention generator, one head a layer, exactly as docs/benchmark.md defines it.
// SPDX-License-Identifier: MIT
#pragma once
#include <cstdint>
#include <string>

#include "framework/suite/trace.hpp"

namespace evictlab {

/// Which of the seed's two generators.
enum class PatternStyle : std::uint8_t {
    micro, ///< noise inside the focus power, no dense tokens, local window 32
    full,  ///< noise outside it, a tenth of the tokens dense, slow decay with distance, local window 64
};

struct PatternSpec {
    std::string name;
    PatternStyle style = PatternStyle::micro;
    std::uint64_t seed = 0;
    std::size_t seq_len = 0, num_layers = 0;
    double sink_strength = 0, local_strength = 0;
};

/// Draws what is cheap (dense tokens, key norms, token types) at once; rows are generated when read. Thread-safe once
/// made.
TracePtr make_pattern(const PatternSpec& spec);

} // namespace evictlab
