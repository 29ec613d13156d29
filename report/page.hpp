// The leaderboard as one web page that needs nothing else: no network, no other file. Its figures are JSON inside of
// it, which the page's own scripts (report/page/) show; texts from outside are never markup there.
// SPDX-License-Identifier: MIT
#pragma once
#include <filesystem>
#include <span>
#include <string>

#include "report/leaderboard.hpp"

namespace evictlab::report {

inline constexpr std::string_view page_schema = "evictlab-page/1";

/// What the page shows. Of each table its `views`, one a measure and one a verdict, all of one form: groups of rows
/// that compete, each row with its figures over all retentions ("mean") and by retention ("at"), as [value, low, high]
/// or [value]; and its `scorers`, what is known of each row's scorer by its name. `plugins` tell of the scorers.
Json page_json(std::span<const LeaderboardTable> tables, const PluginHost& plugins);

/// HTML, UTF-8. Equal tables give equal bytes.
std::string to_page(std::span<const LeaderboardTable> tables, const PluginHost& plugins);

/// Throws Error where it cannot be written.
void write_page(std::span<const LeaderboardTable> tables, const PluginHost& plugins, const std::filesystem::path& file);

} // namespace evictlab::report
