// The protocol `prefill`: a scorer sees a captured layer once, at the end of the prompt; what it keeps is judged on the
// continuation's queries. As NVIDIA's kvpress evicts. SPDX-License-Identifier: MIT
#pragma once
#include "framework/protocols/captured_protocol.hpp"

namespace evictlab {

class PrefillJudge final : public CapturedProtocol {
public:
    using CapturedProtocol::CapturedProtocol;
    std::string_view name() const override { return "prefill"; }
    /// Per KV head, and over the whole layer: the prompt tokens with the largest attention in the judged queries.
    std::vector<std::string> bounds() const override { return {"oracle", "oracle (layer budget)"}; }
    bool uneven(std::size_t row) const override;

private:
    void judge_scorer(std::size_t scorer, const ScorerRun& run, Task& task, const Figures& figures) const override;
    void judge_bound(std::size_t bound, Task& task, const Figures& figures) const override;
};

} // namespace evictlab
