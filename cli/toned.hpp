// Text with coloured lines to a terminal. SPDX-License-Identifier: MIT
#pragma once
#include <string_view>

namespace evictlab::cli {

/// print() of a text with coloured lines (report/table.hpp): their escapes, at a line's ends, are let through.
void print_toned(std::string_view text);

} // namespace evictlab::cli
