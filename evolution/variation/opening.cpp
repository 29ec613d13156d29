// The four strategies that failed in the seed's generation 1. Its formulas are not known; these are ours, to fit the
// names and what it wrote of them. Every run tries them first, so that their failure is measured and not believed.
// SPDX-License-Identifier: MIT
#include <array>

#include "evolution/variation/operator.hpp"

namespace evictlab::evolution {
namespace {

constexpr std::array table{
    OpeningStrategy{"multiplicative", "a token must be good by every signal at once: their product is the score",
                    "if(position < 4, keep, "
                    "recent_attn * cumulative_attn * ((position+1)/sequence_len)^0.3 / key_norm)",
                    "+27-32% worse"},
    OpeningStrategy{"entropy_based", "a token whose attention is spread over many queries matters to many of them",
                    "if(position < 4, keep, attn_entropy)", "+46% worse"},
    OpeningStrategy{"softmax_temperature",
                    "a low temperature sharpens each attention signal before they are added, so the strongest decides",
                    "if(position < 4, keep, if(relative_pos < 4, 1e6 - relative_pos, "
                    "0.6*exp(recent_attn/0.5) + 0.4*exp(cumulative_attn/0.5)))",
                    "+13% worse"},
    OpeningStrategy{"complex_layer_adaptive",
                    "every signal gets its own dependence on the layer, so that each layer has a policy of its own",
                    "if(position < 4, keep, (0.7 - 0.4*layer_ratio)*recent_attn*(1 + attn_entropy*layer_ratio) + "
                    "(0.3 + 0.4*layer_ratio)*cumulative_attn*((position+1)/sequence_len)^(0.2 + 0.6*layer_ratio) + "
                    "0.3*(1 - layer_ratio)*max(0, 1 - relative_pos/128) - "
                    "(0.2 - 0.1*layer_ratio)*key_norm)",
                    "+42% worse"},
};

} // namespace

std::span<const OpeningStrategy> opening_strategies() { return table; }

} // namespace evictlab::evolution
