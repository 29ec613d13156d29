// SPDX-License-Identifier: MIT
#include "framework/protocols/prefill.hpp"

namespace evictlab {
namespace {

using KeptSets = std::vector<std::vector<std::uint32_t>>; // [kv_heads], ascending positions

std::size_t tokens_in(const KeptSets& kept) {
    std::size_t count = 0;
    for (const auto& of_head : kept) count += of_head.size();
    return count;
}

} // namespace

bool PrefillJudge::uneven(std::size_t row) const {
    return row < scorers_.size() ? scorers_[row].allocates() : row > scorers_.size();
}

void PrefillJudge::judge_scorer(std::size_t scorer, const ScorerRun& run, Task& task, const Figures& figures) const {
    const LayerInput& input = task.inputs.of(scorers_[scorer]);
    LayerSelection selection(run, input);
    KeptSets kept(input.heads);
    for (std::size_t r = 0; r < retentions_.size(); ++r) {
        selection.select(1.0 - retentions_[r]);
        for (std::size_t a = 0; a < input.heads; ++a)
            kept[a] = top_k(selection.scores().subspan(a * input.tokens, input.tokens), selection.kept_per_head()[a]);
        const Damage damage = task.judge.judge(kept, task.scratch);
        figures.note(r, damage, task, tokens_in(kept), input.heads * input.tokens);
    }
}

void PrefillJudge::judge_bound(std::size_t bound, Task& task, const Figures& figures) const {
    const std::size_t n = task.judge.prompt(), heads = task.judge.kv_heads();
    for (std::size_t r = 0; r < retentions_.size(); ++r) {
        const std::size_t budget = kept_count_for_removed(n, 1.0 - retentions_[r]);
        KeptSets kept(heads);
        if (bound == 0) {
            for (std::size_t a = 0; a < heads; ++a) kept[a] = top_k(task.judge.mean_attention(a), budget);
        } else {
            std::vector<double> all;
            for (std::size_t a = 0; a < heads; ++a)
                all.insert(all.end(), task.judge.mean_attention(a).begin(), task.judge.mean_attention(a).end());
            for (const std::uint32_t i : top_k(all, heads * budget))
                kept[i / n].push_back(i % static_cast<std::uint32_t>(n));
        }
        const Damage damage = task.judge.judge(kept, task.scratch);
        figures.note(r, damage, task, tokens_in(kept), heads * n);
    }
}

} // namespace evictlab
