// The story of evolution runs as one web page that needs nothing else, as report/page.hpp has leaderboards.
// SPDX-License-Identifier: MIT
#pragma once
#include <filesystem>
#include <optional>
#include <span>
#include <string>

#include "base/json/json.hpp"

namespace evictlab::report {

inline constexpr std::string_view run_page_schema = "evictlab-run-page/1";

/// What read_status() and read_log() say of each run, all of its accepted candidates among it, as their JSON has it.
/// Measures nothing and locks nothing; safe while processes save. Throws as these two do.
Json run_page_json(std::span<const std::filesystem::path> state_files);

/// `refresh_seconds`: how often a browser is to load the page again; nothing for never.
std::string to_run_page(const Json& runs, std::optional<int> refresh_seconds);

} // namespace evictlab::report
