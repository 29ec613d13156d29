// SPDX-License-Identifier: MIT
#include "framework/columns/states.hpp"

namespace evictlab::columns {
namespace {

/// As the second pass's arrays lie.
enum class Pass : std::uint8_t { plain, plus, grad };

struct OfSecondPass {
    Pass pass;
    void operator()(const RowContext& row, double* out) const {
        const float* const given = row.tensors->reconstruction[static_cast<std::size_t>(pass)];
        for (std::size_t i = 0; i < row.tokens; ++i) out[i] = static_cast<double>(given[i]);
    }
};

} // namespace

ColumnInfo describe_reconstruction_attn() {
    return {
        "reconstruction_attn",
        "largest share of attention that any query of a second pass gives the token, in which the model repeats the "
        "prompt, over the heads of its group (KVzip); `:plus` times the norm of the token's value behind the "
        "output projection over that of the query's hidden state (KVzip+); `:grad` times that norm and the "
        "gradient of the model's last hidden states by the query's attention output (KVgrad)",
        ColumnKind::token,
        [](std::string_view arguments, std::size_t tokens) -> std::unique_ptr<ColumnState> {
            Arguments given("reconstruction_attn", arguments);
            const Pass pass = given.word("plus") ? Pass::plus : given.word("grad") ? Pass::grad : Pass::plain;
            given.end("reconstruction_attn, reconstruction_attn:plus or reconstruction_attn:grad");
            return std::make_unique<TensorRule<OfSecondPass>>(tokens, OfSecondPass{pass});
        },
        ColumnNeeds::reconstruction,
        last_query,
        ColumnQueries::none};
}

} // namespace evictlab::columns
