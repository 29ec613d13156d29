// What a program ends with: its exit code, and one message where something went wrong. SPDX-License-Identifier: MIT
#pragma once
#include <functional>
#include <string_view>

namespace evictlab::cli {

/// The exit code of `run`. What it throws is told on standard error as the program's, and so is a standard output that
/// did not take all. `spare`: what would take less memory, where that ran out.
int outcome(std::string_view program, std::string_view spare, const std::function<int()>& run);

} // namespace evictlab::cli
