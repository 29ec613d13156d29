// The protocol `decode`: a cache of fixed capacity. After the prompt it is cut to the capacity, then every continuation
// token enters it, and it is cut back every `interval` tokens. Evicted tokens never return; statistics are only over
// what is cached, with attention renormalised over it. SPDX-License-Identifier: MIT
#pragma once
#include "framework/protocols/captured_protocol.hpp"

namespace evictlab {

class CachedHead;

class DecodeJudge final : public CapturedProtocol {
public:
    DecodeJudge(std::span<const Scorer> scorers, std::span<const double> retentions, CapturedMeasures measured,
                std::size_t interval);
    std::string_view name() const override { return "decode"; }
    /// Keeps what the later judged queries attend to most. Strong, but a cache has no simple bound.
    std::vector<std::string> bounds() const override { return {"oracle"}; }
    bool uneven(std::size_t) const override { return false; }

private:
    using KeptSets = std::vector<std::vector<std::uint32_t>>; ///< [kv_heads], ascending slots
    class Run;
    class ByScorer;
    class ByOracle;
    bool follows_continuation() const override { return true; }
    void judge_scorer(std::size_t scorer, const ScorerRun& run, Task& task, const Figures& figures) const override;
    void judge_bound(std::size_t bound, Task& task, const Figures& figures) const override;

    std::size_t interval_;
};

} // namespace evictlab
