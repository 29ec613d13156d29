// SPDX-License-Identifier: MIT
#include "framework/columns/replayed_attention.hpp"
#include "framework/columns/states.hpp"

namespace evictlab::columns {
namespace {

ReplayRule read(std::string_view text) {
    Arguments arguments("replayed_attn", text);
    ReplayRule rule;
    rule.window = arguments.number("window", rule.window, 1, 1 << 20);
    if (arguments.word("all")) rule.window = all_history;
    rule.count = arguments.keyed("count", rule.count, 1, 1 << 20);
    rule.rms = arguments.word("rms");
    arguments.end("replayed_attn, replayed_attn:64, replayed_attn:all:count=128 or, the root of the mean square, "
                  "replayed_attn:64:rms");
    return rule;
}

} // namespace

ColumnInfo describe_replayed_attn() {
    return {"replayed_attn",
            "attention that the last W queries would give the token if they were asked again at the positions that "
            "follow, as far as a sliding window lets them: replayed_attn:W (64; or all) for the mean, :rms for the "
            "root of the mean square, :count=C to "
            "replay at most C of them (128)",
            ColumnKind::token,
            [](std::string_view arguments, std::size_t tokens) -> std::unique_ptr<ColumnState> {
                return std::make_unique<ReplayedAttention>(read(arguments), tokens);
            },
            ColumnNeeds::tensors,
            last_query,
            ColumnQueries::all};
}

} // namespace evictlab::columns
