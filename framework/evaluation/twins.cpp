// SPDX-License-Identifier: MIT
#include "framework/evaluation/twins.hpp"

#include <algorithm>

namespace evictlab {

namespace {

struct Twin {
    std::string_view id;
    bool seed_preset; // whether `id@seed` exists; its rule is that of the defaults, but for random
    std::string_view formula;
};

constexpr Twin twins[] = {
    {"streaming_llm", true, "if(position < 4, keep, if(relative_pos < 64, 1e6 - relative_pos, drop))"},
    {"h2o", true, "if(relative_pos < 32, keep, cumulative_attn)"},
    {"snapkv", true, "if(relative_pos < 32, keep, recent_attn)"},
    {"pyramidkv", true,
     "if(position < 4, keep, if(relative_pos < 48*(2 - layer_ratio), 1e6 - relative_pos, "
     "cumulative_attn*(1 - 0.5*layer_ratio)))"},
    {"knorm", true, "-key_norm"},
    {"tova", true, "if(position < 4, 10, 0) + cumulative_attn*(1 + exp(-0.01*relative_pos))"},
    {"position_corrected_h2o", false,
     "if(position < 4, keep, if(relative_pos < 32, keep, cumulative_attn*(position + 1)^0.3))"},
    // ((42 * 6364136223846793005 + position) mod 2^64) >> 33 is 1052313527 for every position below 6165176990.
    {"random", true, "if(position < 4, keep, if(relative_pos < 4, 1e6 - relative_pos, 0.49002167163416743))"},
    {"hybrid", false,
     "if(position < 4, keep, 0.4*(0.3*cumulative_attn + 0.7*recent_attn) + 0.3*max(0, 1 - relative_pos/64) - "
     "0.1*key_norm)"},
    {"hybrid_start", false,
     "if(position < 4, keep, if(relative_pos < 4, 1e6 - relative_pos, 0.6*recent_attn + "
     "0.4*cumulative_attn*((position + 1)/sequence_len)^0.3 + 0.2*max(0, 1 - relative_pos/128)))"},
    {"evolved", false,
     "if(position < 4, keep, if(relative_pos < 4, 1e6 - relative_pos, (0.7 - 0.2*layer_ratio)*recent_attn + "
     "(0.3 + 0.2*layer_ratio)*cumulative_attn*((position + 1)/sequence_len)^(0.25 + 0.1*layer_ratio) + "
     "(0.15 + 0.1*layer_ratio)*max(0, 1 - relative_pos/128) - 0.1*min(key_norm, 2)))"},
};

} // namespace

std::optional<std::string> formula_twin(std::string_view scorer) {
    const auto at = scorer.find('@');
    const auto id = scorer.substr(0, at);
    const bool preset = at != std::string_view::npos;
    const auto* twin = std::ranges::find(twins, id, &Twin::id);
    if (twin == std::end(twins)) return std::nullopt;
    if (preset && (!twin->seed_preset || scorer.substr(at) != "@seed")) return std::nullopt;
    if (!preset && id == "random") return std::nullopt; // its numbers are no formula over the columns
    return std::string(twin->formula);
}

std::vector<std::string> scorers_with_twins() {
    std::vector<std::string> names;
    for (const auto& twin : twins) names.push_back(std::string(twin.id) + (twin.seed_preset ? "@seed" : ""));
    return names;
}

} // namespace evictlab
