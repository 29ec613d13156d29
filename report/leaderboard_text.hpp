// The leaderboard written down: Markdown that renders on GitHub, and JSON of the same content.
// SPDX-License-Identifier: MIT
#pragma once
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

#include "base/json/json_field.hpp"
#include "report/engine.hpp"
#include "report/leaderboard.hpp"

namespace evictlab::report {

inline constexpr std::string_view leaderboard_schema = "evictlab-leaderboard/1";

enum class Detail : std::uint8_t {
    whole,    ///< every figure, formula and command
    brief,    ///< the figures of the test split and the averages of the others
    headline, ///< of each verdict the few rows that tell how it went, for a front page
};

/// `plots`: one a table, as the Markdown is to link it, or "" where it has none. `engines` follow the tables, but not
/// in a headline.
std::string to_markdown(std::span<const LeaderboardTable> tables, Detail detail = Detail::whole,
                        std::span<const std::string> plots = {}, std::span<const EngineTable> engines = {});
Json to_json(std::span<const LeaderboardTable> tables, std::span<const EngineTable> engines = {});

/// Markdown for a file that ends in .md, JSON for .json; UsageError for another ending, Error where it cannot be
/// written.
void write_leaderboard(std::span<const LeaderboardTable> tables, const std::filesystem::path& file,
                       Detail detail = Detail::whole, std::span<const std::string> plots = {},
                       std::span<const EngineTable> engines = {});

/// One sentence on what a scorer sees under a protocol.
std::string protocol_note(std::string_view protocol);

} // namespace evictlab::report
