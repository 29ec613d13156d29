// evictlab report --state RUN.json --output RUN.html: runs as a page, and the page kept up to date.
// SPDX-License-Identifier: MIT
#pragma once
#include <filesystem>
#include <span>

namespace evictlab::cli {

/// Writes the page of these runs. `follow`: again whenever one has saved a generation, for as long as one is running
/// and nobody asks to stop; a browser then loads the page anew every few seconds. Throws as reading a run does.
void write_run_story(std::span<const std::filesystem::path> state_files, const std::filesystem::path& output,
                     bool follow);

} // namespace evictlab::cli
