// Leaderboards of what the program's own plugins call published. SPDX-License-Identifier: MIT
#pragma once
#include "report/leaderboard.hpp"

namespace evictlab::report {

inline std::vector<LeaderboardTable> leaderboard_of(std::span<const LeaderboardInput> inputs,
                                                    std::span<const VerdictInput> verdicts = {}) {
    static const PluginHost plugins;
    return make_leaderboard(inputs, verdicts, plugins);
}

} // namespace evictlab::report
