// SPDX-License-Identifier: MIT
#include "framework/columns/expected_attention.hpp"
#include "framework/columns/states.hpp"

namespace evictlab::columns {
namespace {

ExpectedAttentionRule read(std::string_view text) {
    Arguments arguments("expected_attn", text);
    ExpectedAttentionRule rule;
    rule.future = arguments.keyed("future", 512, 1, 1 << 20);
    rule.sinks = arguments.keyed("sinks", 4, 0, 1 << 20);
    rule.covariance = !arguments.word("mean");
    rule.by_dim = arguments.word("by_dim");
    arguments.end("expected_attn, expected_attn:future=512:sinks=4, without covariance expected_attn:mean or, with "
                  "1/sqrt(d) for the layer's softmax scale, expected_attn:by_dim");
    return rule;
}

} // namespace

ColumnInfo describe_expected_attn() {
    return {
        "expected_attn",
        "attention that the next queries are expected to give the token, from the mean and covariance of the queries "
        "so far; 0 at the sinks: expected_attn:future=F:sinks=S (512, 4), :mean without the covariance, and :by_dim "
        "with "
        "1/sqrt(d) for the layer's softmax scale, as kvpress has it",
        ColumnKind::token,
        [](std::string_view arguments, std::size_t tokens) -> std::unique_ptr<ColumnState> {
            return std::make_unique<ExpectedAttention>(read(arguments), tokens);
        },
        ColumnNeeds::tensors,
        last_query,
        ColumnQueries::all};
}

} // namespace evictlab::columns
