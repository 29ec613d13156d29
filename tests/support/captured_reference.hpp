// Captured layers judged slowly and plainly, in double precision, from queries, keys and values: the judge of the fast
// protocols. Nothing here is shared with them.
// SPDX-License-Identifier: MIT
#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "framework/capture/captured_trace.hpp"

namespace evictlab::test {

using Sets = std::vector<std::vector<std::uint32_t>>; ///< [kv_head], ascending positions
using Matrix = std::vector<std::vector<double>>;

struct SlowDamage {
    double attention_loss = 0, output_error = 0;
};

/// When a cache is cut behind the prompt, and whether at its end.
struct SlowSchedule {
    std::function<bool(std::size_t step, std::size_t cached)> due; ///< of the first head
    bool cuts_prompt = true;
};
/// After every `interval` tokens.
SlowSchedule slow_every(std::size_t interval);

/// What a cache was at each step of the continuation, over all heads.
struct SlowCourse {
    std::vector<double> losses;                ///< mean over query heads
    std::vector<std::size_t> cached, replaced; ///< after the cut; evicted tokens that an earlier cut had left
    std::size_t largest = 0;                   ///< that a head held while it attended
};

class SlowLayer {
public:
    /// `o_proj` is [hidden][query_heads * dim]; empty: no output error.
    SlowLayer(const OwnedLayer& layer, std::size_t prompt, std::vector<double> token_type,
              std::vector<double> o_proj = {});

    /// The softmax of query i of a query head over these tokens.
    std::vector<double> attention(std::size_t head, std::size_t i, const std::vector<std::uint32_t>& tokens) const;
    /// What the prompt's tokens have in a column at its end, [kv_head][prompt].
    Matrix column(const std::string& name) const;
    SlowDamage damage(const Sets& kept) const;
    /// [probe][judged query]: the change of the heads' outputs in the direction of each probe of the sensitivity.
    Matrix responses(const Sets& kept, const std::vector<double>& sensitivity) const;
    /// The protocol decode by the scores of a column that is known to it: cumulative_attn, last_attn:all,
    /// layer_attn:3:ahead=2, window_attn:3, key_norm or relative_age.
    SlowDamage decode(const std::string& column, std::size_t capacity, const SlowSchedule& schedule,
                      SlowCourse& course) const;
    SlowDamage decode(const std::string& column, std::size_t capacity, std::size_t interval) const;
    /// The same where a token goes that scores below the threshold when it is no longer among the newest `window`, and
    /// stays for good else. `kept`: cached tokens, summed over heads and judged queries.
    SlowDamage decode_by_threshold(const std::string& column, double threshold, std::size_t window,
                                   std::size_t interval, std::size_t& kept) const;

private:
    /// The rows of a KV head that a cache has seen: weights by position, oldest first.
    struct Cache {
        std::vector<std::uint32_t> tokens;
        std::vector<std::vector<double>> rows; ///< [row][token of the layer]
    };
    std::vector<std::uint32_t> all_up_to(std::size_t i) const;
    std::vector<double> mean_row(std::size_t kv_head, std::size_t i) const;
    double score(const std::string& column, const std::vector<Cache>& caches, std::size_t kv_head, std::uint32_t token,
                 std::size_t query) const;
    std::vector<double> output(std::size_t head, std::size_t i, const std::vector<std::uint32_t>& tokens) const;
    /// cut(caches, query): behind the prompt and behind queries, when the schedule says.
    template <class Cut>
    SlowDamage play(const SlowSchedule& schedule, Cut&& cut, SlowCourse& course) const;
    double relative_change(const Matrix& before, const Matrix& after) const;

    const OwnedLayer& layer_;
    std::size_t prompt_;
    std::vector<double> token_type_, o_proj_;
};

/// Positions of the `kept` highest, ascending; among equals the lower position.
std::vector<std::uint32_t> slow_top(const std::vector<double>& scores, std::size_t kept);

} // namespace evictlab::test
