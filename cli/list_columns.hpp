// evictlab plugins columns: what a scorer may ask for of each token. SPDX-License-Identifier: MIT
#pragma once
#include <string_view>

namespace evictlab::cli {

/// Prints them as "text" or "markdown", which is docs/columns.md; UsageError for another format. Gives the exit code.
int list_columns(std::string_view format);

} // namespace evictlab::cli
