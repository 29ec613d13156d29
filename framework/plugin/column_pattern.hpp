// A plugin's columns may depend on its parameters: `window_attn:{window}`.
// SPDX-License-Identifier: MIT
#pragma once
#include <span>
#include <string>
#include <string_view>

#include "framework/plugin/plugin.hpp"

namespace evictlab {

/// The column's name with each `{key}` replaced by that parameter's value and each `{key?A|B}` by A where the value is
/// not 0, else B. Throws Error for an unknown key or an open brace.
std::string fill_column_pattern(std::string_view pattern, std::span<const Parameter> parameters,
                                std::span<const double> values);

} // namespace evictlab
