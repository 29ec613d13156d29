// Files on disk: whole or not at all. A run's own have a seam to the system of their own, state/file_ops.hpp. Threads
// may write different files at once. SPDX-License-Identifier: MIT
#pragma once
#include <filesystem>
#include <string_view>

namespace evictlab {

/// Writes beside the file and renames, so that a reader sees the old content or the new one and a failure leaves the
/// old. What is no ordinary file (a pipe, /dev/null) is written straight. Throws Error: which file, why, what to do.
void write_file(const std::filesystem::path& file, std::string_view content);

} // namespace evictlab
