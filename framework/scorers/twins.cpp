// SPDX-License-Identifier: MIT
#include "framework/scorers/twins.hpp"

#include <algorithm>

namespace evictlab {

namespace {

struct Twin {
    std::string_view id;
    std::string_view preset; // whose rule it is; "seed" is the rule of the defaults too, but for random
    std::string_view formula;
};

constexpr Twin twins[] = {
    {"streaming_llm", "seed", "if(position < 4, keep, if(relative_pos < 64, 1e6 - relative_pos, drop))"},
    {"h2o", "seed", "if(relative_pos < 32, keep, cumulative_attn)"},
    {"snapkv", "seed", "if(relative_pos < 32, keep, recent_attn)"},
    {"pyramidkv", "seed",
     "if(position < 4, keep, if(relative_pos < 48*(2 - layer_ratio), 1e6 - relative_pos, "
     "cumulative_attn*(1 - 0.5*layer_ratio)))"},
    {"knorm", "seed", "-key_norm"},
    {"tova", "seed", "if(position < 4, 10, 0) + cumulative_attn*(1 + exp(-0.01*relative_pos))"},
    {"position_corrected_h2o", "",
     "if(position < 4, keep, if(relative_pos < 32, keep, cumulative_attn*(position + 1)^0.3))"},
    // ((42 * 6364136223846793005 + position) mod 2^64) >> 33 is 1052313527 for every position below 6165176990.
    {"random", "seed", "if(position < 4, keep, if(relative_pos < 4, 1e6 - relative_pos, 0.49002167163416743))"},
    {"hybrid", "",
     "if(position < 4, keep, 0.4*(0.3*cumulative_attn + 0.7*recent_attn) + 0.3*max(0, 1 - relative_pos/64) - "
     "0.1*key_norm)"},
    {"hybrid_start", "",
     "if(position < 4, keep, if(relative_pos < 4, 1e6 - relative_pos, 0.6*recent_attn + "
     "0.4*cumulative_attn*((position + 1)/sequence_len)^0.3 + 0.2*max(0, 1 - relative_pos/128)))"},
    {"evolved", "",
     "if(position < 4, keep, if(relative_pos < 4, 1e6 - relative_pos, (0.7 - 0.2*layer_ratio)*recent_attn + "
     "(0.3 + 0.2*layer_ratio)*cumulative_attn*((position + 1)/sequence_len)^(0.25 + 0.1*layer_ratio) + "
     "(0.15 + 0.1*layer_ratio)*max(0, 1 - relative_pos/128) - 0.1*min(key_norm, 2)))"},
    {"evolved", "real",
     "if(position < 4, keep, 0.00109*rank:lag_value:32 + 0.0018*rank:cumulative_attn + 0.00186*rank:lag_value "
     "+ 0.00314*rank:window_attn:64:pool=5:avg + 0.00382*rank:expected_attn + 0.0861*window_std:256 + "
     "0.184*replayed_attn:256:rms + 0.36*replayed_attn:all:rms + 0.46*replayed_attn:64:rms + "
     "1.7*window_attn:64:pool=5:avg + 0.0241*sqrt(observed_attn) + 0.00594*min(rank:wov_norm, 0.35) + "
     "0.0523/(relative_pos + 1) + 0.559*observed_attn^1.1 + 3.1*sqrt(expected_attn*replayed_attn:256:rms) + "
     "0.00525*max(rank:key_norm - 0.8, 0) + attn_entropy*(0.00119*layer_ratio - 0.000973) + "
     "rank:observed_attn*rank:wov_norm*(0.0049*layer_ratio - 0.00105) + "
     "sqrt(expected_attn*window_attn:64:pool=5:avg)*(5.23 - 9.85*layer_ratio) + "
     "expected_attn*(0.548*rank:wov_norm + rank:key_norm*(4.75*layer_ratio - 4.2) + 3.15 - 4.11*layer_ratio) - "
     "rank:key_cos*(0.0033*layer_ratio + 0.00139))"},
};

} // namespace

std::optional<std::string> formula_twin(std::string_view scorer) {
    const auto at = std::min(scorer.find('@'), scorer.size());
    const auto id = scorer.substr(0, at), preset = scorer.substr(std::min(at + 1, scorer.size()));
    if (scorer == "random") return std::nullopt; // its numbers are no formula over the columns
    const auto* twin = std::ranges::find_if(twins, [&](const Twin& each) {
        const bool defaults = each.preset.empty() || each.preset == "seed";
        return each.id == id && (at < scorer.size() ? each.preset == preset && !preset.empty() : defaults);
    });
    if (twin == std::end(twins)) return std::nullopt;
    return std::string(twin->formula);
}

std::vector<std::string> scorers_with_twins() {
    std::vector<std::string> names;
    for (const Twin& twin : twins)
        names.push_back(std::string(twin.id) + (twin.preset.empty() ? "" : "@" + std::string(twin.preset)));
    return names;
}

} // namespace evictlab
