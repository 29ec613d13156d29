// SPDX-License-Identifier: MIT
#include "framework/protocols/prefill.hpp"

#include "framework/protocols/captured_protocol.hpp"

namespace evictlab {
namespace {

constexpr double retentions[] = {0.1, 0.25, 0.5, 0.75};

std::size_t tokens_in(const KeptSets& kept) {
    std::size_t count = 0;
    for (const auto& of_head : kept) count += of_head.size();
    return count;
}

class Prefill final : public CapturedProtocol {
public:
    using CapturedProtocol::CapturedProtocol;
    std::string_view name() const override { return "prefill"; }
    /// Per KV head, and over the whole layer: the prompt tokens with the largest attention in the judged queries.
    std::vector<std::string> bounds() const override { return {"oracle", "oracle (layer budget)"}; }
    bool uneven(std::size_t row) const override {
        return row < scorers_.size() ? scorers_[row].allocates() : row > scorers_.size();
    }

private:
    void run_scorer(const ScorerRun& run, Task& task, RowFigures& row) const override;
    void run_bound(std::size_t bound, Task& task, RowFigures& row) const override;
};

void Prefill::run_scorer(const ScorerRun& run, Task& task, RowFigures& row) const {
    const LayerInput& input = task.input.of(run.scorer());
    LayerSelection selection(run, input);
    KeptSets kept(input.heads);
    for (std::size_t r = 0; r < retentions_.size(); ++r) {
        selection.select(1.0 - retentions_[r]);
        for (std::size_t a = 0; a < input.heads; ++a) kept[a] = selection.kept(a);
        const Damage damage = task.damage.of(kept, task.scratch);
        note(row, r, damage, task, tokens_in(kept), input.heads * input.tokens);
    }
}

void Prefill::run_bound(std::size_t bound, Task& task, RowFigures& row) const {
    const std::size_t n = task.damage.prompt(), heads = task.damage.kv_heads();
    for (std::size_t r = 0; r < retentions_.size(); ++r) {
        const std::size_t budget = kept_count_for_removed(n, 1.0 - retentions_[r]);
        KeptSets kept(heads);
        if (bound == 0) {
            for (std::size_t a = 0; a < heads; ++a) kept[a] = top_k(task.damage.mean_attention(a), budget);
        } else {
            std::vector<double> all;
            for (std::size_t a = 0; a < heads; ++a)
                all.insert(all.end(), task.damage.mean_attention(a).begin(), task.damage.mean_attention(a).end());
            for (const std::uint32_t i : top_k(all, heads * budget))
                kept[i / n].push_back(i % static_cast<std::uint32_t>(n));
        }
        const Damage damage = task.damage.of(kept, task.scratch);
        note(row, r, damage, task, tokens_in(kept), heads * n);
    }
}

} // namespace

ProtocolInfo describe_prefill() {
    ProtocolInfo info;
    info.name = "prefill";
    info.note =
        "Protocol `prefill`: a scorer sees the prompt alone, once, at its end; the queries of the continuation, which "
        "it has not seen, then judge what it kept, and evicted tokens never return.";
    info.usual_retentions = retentions;
    info.needs_capture = info.gives_tensors = true;
    info.refuses = [](const Scorer&) -> std::string { return ""; };
    info.make = [](const ProtocolSetup& setup) -> std::unique_ptr<Protocol> {
        return std::make_unique<Prefill>(setup);
    };
    return info;
}

} // namespace evictlab
