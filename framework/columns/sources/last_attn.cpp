// SPDX-License-Identifier: MIT
#include "framework/columns/states.hpp"

namespace evictlab::columns {
namespace {

bool of_all_heads(std::string_view text) {
    Arguments arguments("last_attn", text);
    const bool all = arguments.word("all");
    arguments.end("last_attn or last_attn:all");
    return all;
}

} // namespace

ColumnInfo describe_last_attn() {
    return {
        "last_attn",
        "attention of the latest query to the token, of its KV head; last_attn:all is the mean over all query heads "
        "of the layer",
        ColumnKind::token,
        [](std::string_view arguments, [[maybe_unused]] std::size_t tokens) -> std::unique_ptr<ColumnState> {
            return std::make_unique<RowState>(of_all_heads(arguments) ? &RowContext::layer_attention
                                                                      : &RowContext::attention);
        },
        ColumnNeeds::layer_rows,
        last_query};
}

} // namespace evictlab::columns
