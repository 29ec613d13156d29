// SPDX-License-Identifier: MIT
#include "framework/protocols/rescore.hpp"

#include <fmt/format.h>
#include <tbb/enumerable_thread_specific.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "framework/cut/cutter.hpp"
#include "framework/cut/rank_kernels.hpp"
#include "framework/protocols/held_rows.hpp"
#include "framework/scoring/layer_pass.hpp"

namespace evictlab {

namespace {

constexpr double retentions[] = {0.25, 0.5, 0.75};

/// Judges every scorer, and the oracle, on one layer of one trace in one pass over its rows.
class Rescore final : public Protocol {
public:
    explicit Rescore(const ProtocolSetup& setup) : Protocol(setup.scorers, setup.retentions) {}

    std::string_view name() const override { return "rescore"; }
    std::vector<std::string> bounds() const override { return {"oracle"}; }
    std::vector<Measure> measures() const override { return {Measure::attention_loss}; }
    bool keeps_ledger() const override { return false; }
    BudgetKind budgets(std::size_t) const override { return BudgetKind::uniform; }
    /// Mean errors over the layer's judged rows and heads.
    LayerFigures figures(const Trace& trace, std::size_t layer, const ScorerHooks& hooks,
                         WaitingRows* waiting) const override;

private:
    friend class LayerRun;
    mutable tbb::enumerable_thread_specific<HeldRows> held_;
};

/// The state of one call of figures().
class LayerRun {
public:
    LayerRun(const Rescore& protocol, const Trace& trace, std::size_t layer, const ScorerHooks& hooks)
        : scorers_(protocol.scorers_), retentions_(protocol.retentions_), trace_(trace), hooks_(hooks),
          pass_(trace, layer, scorers_.columns().ids()), columns_(scorers_.columns(), pass_.columns()),
          kept_(retentions_.size()), kept_mass_(kept_.size()),
          scores_(trace.heads() * padded(trace.seq_len()) + row_padding),
          errors_(scorers_.size() + 1, std::vector<double>(kept_.size())), runners_(scorers_.size() + 1),
          held_(protocol.held_.local()) {
        input_.layer = layer;
        input_.num_layers = trace.num_layers();
        input_.heads = trace.heads();
        input_.columns = &columns_;
        held_.clear(); // of a run that threw
        for (Runner& runner : runners_) runner.cutters.assign(trace.heads(), Cutter(kept_.size()));
        for (std::size_t s = 0; s < scorers_.size(); ++s)
            if (hooks.skip(s))
                runners_[s].active = false;
            else
                guarded(s, [&] { make_ready(s); });
        if (rows_shared_)
            for (const auto& values : pass_.lasting_arrays()) rows_shared_->hold(values);
    }

    void run() {
        while (pass_.advance()) {
            heed_stop(hooks_);
            if (!pass_.judged()) continue;
            for (std::size_t r = 0; r < kept_.size(); ++r) kept_[r] = kept_count(pass_.tokens(), retentions_[r]);
            input_.tokens = input_.sequence_len = pass_.tokens();
            const JudgedRow row{pass_.query(), pass_.tokens(), kept_, pass_.attention(0), pass_.head_stride()};
            for (std::size_t s = 0; s < scorers_.size(); ++s) guarded(s, [&] { score(s, row); });
            judge_oracle(row);
            ++rows_;
            if (queued_ > 0) hold(row);
        }
        score_held();
    }

    LayerFigures mean_errors() && {
        const auto count = static_cast<double>(rows_ * trace_.heads());
        LayerFigures figures;
        for (std::vector<double>& errors : errors_) {
            for (double& error : errors) error /= count;
            figures.emplace_back().attention_loss = std::move(errors);
        }
        return figures;
    }

private:
    struct Runner {
        bool active = true;
        std::vector<Cutter> cutters; ///< [head]
        std::optional<PooledRun> run;
        std::unique_ptr<BatchQueue> queue; ///< null where rows are scored as they come
    };

    /// What breaks costs the scorer its row and stops no other.
    template <class Step>
    void guarded(std::size_t s, Step step) {
        if (!runners_[s].active) return;
        try {
            step();
        } catch (const PluginError& error) {
            runners_[s].active = false;
            hooks_.failed(s, at_place(error, "trace " + trace_.name() + query_in_words()));
        }
    }

    void make_ready(std::size_t s) {
        runners_[s].run = scorers_.run(s);
        if (const ScorerInstance* instance = (*runners_[s].run)->instance())
            runners_[s].queue = instance->queue(rows_shared_);
        if (runners_[s].queue) ++queued_;
    }

    /// Scores and judges the row, or puts it into the scorer's queue. Head h's scores are at scores_ + h * n, as
    /// plugins write them.
    void score(std::size_t s, const JudgedRow& row) {
        const ScorerRun& run = **runners_[s].run;
        if (runners_[s].queue) return runners_[s].queue->add(call_.batch(run, input_, {}));
        call_.score(run, input_, {}, nullptr, scores_.data());
        judge_scores(s, row);
    }

    void hold(const JudgedRow& row) {
        held_.add(row, trace_.heads());
        if (rows_shared_) rows_shared_->next_row();
        if (held_.full()) score_held();
    }

    /// All queues are set off before the first is waited for.
    void score_held() {
        const auto for_queues = [&](auto step) {
            for (std::size_t s = 0; s < scorers_.size(); ++s)
                if (runners_[s].queue) guarded(s, [&] { step(s, *runners_[s].queue); });
        };
        if (held_.size() > 0) {
            for_queues([](std::size_t, BatchQueue& queue) { queue.start(); });
            for_queues([&](std::size_t s, BatchQueue& queue) {
                queue.finish();
                for (std::size_t i = 0; i < held_.size(); ++i) {
                    queue.scores(i, scores_.data());
                    judge_scores(s, held_[i]);
                }
                queue.clear();
            });
        }
        held_.clear();
        if (rows_shared_) rows_shared_->clear();
    }

    void judge_scores(std::size_t s, const JudgedRow& row) {
        for (std::size_t head = pass_.heads(); head-- > 0;) { // from the back: a cut may write behind its n scores
            const std::size_t at = cut_head(s, head, row, scores_.data() + head * row.tokens);
            if (at == Cutter::no_nan) continue;
            nan_at_query_ = row.query;
            throw nan_score(scorers_[s], pass_.layer(), head, at);
        }
    }

    /// Of a failure that belongs to one query.
    std::string query_in_words() {
        const auto query = std::exchange(nan_at_query_, std::nullopt);
        return query ? fmt::format(", query {}", *query) : "";
    }

    void judge_oracle(const JudgedRow& row) {
        for (std::size_t head = 0; head < pass_.heads(); ++head) {
            std::copy_n(pass_.attention(head), row.tokens, scores_.data());
            cut_head(scorers_.size(), head, row, scores_.data());
        }
    }

    std::size_t cut_head(std::size_t s, std::size_t head, const JudgedRow& row, double* scores) {
        const double* mass = row.mass + head * row.mass_stride;
        const std::size_t at = runners_[s].cutters[head].cut(scores, mass, row.tokens, row.kept, kept_mass_.data());
        if (at != Cutter::no_nan) return at;
        const double all = sum(mass, row.tokens);
        for (std::size_t r = 0; r < row.kept.size(); ++r) errors_[s][r] += (all - kept_mass_[r]) / all;
        return Cutter::no_nan;
    }

    const ScorerPool& scorers_;
    std::span<const double> retentions_;
    const Trace& trace_;
    const ScorerHooks& hooks_;
    LayerPass pass_;
    BoardColumns columns_;
    LayerInput input_; ///< of the pass's latest row
    std::vector<std::size_t> kept_;
    std::vector<double> kept_mass_, scores_;
    std::vector<std::vector<double>> errors_; ///< [row][retention]
    std::vector<Runner> runners_;
    ScorerCall call_;
    std::optional<std::size_t> nan_at_query_;
    HeldRows& held_;
    std::size_t queued_ = 0; ///< scorers with a queue
    std::shared_ptr<SharedRows> rows_shared_;
    std::size_t rows_ = 0;
};

LayerFigures Rescore::figures(const Trace& trace, std::size_t layer, const ScorerHooks& hooks, WaitingRows*) const {
    LayerRun run(*this, trace, layer, hooks);
    run.run();
    return std::move(run).mean_errors();
}

} // namespace

ProtocolInfo describe_rescore() {
    ProtocolInfo info;
    info.name = "rescore";
    info.note = "Protocol `rescore`: a scorer sees the statistics of every token up to and including the query that it "
                "is then judged on, and an evicted token may come back at the next query.";
    info.usual_retentions = retentions;
    info.rules = ScorerRules::seed;
    info.refuses = refusal_by_rescore;
    info.refuses_shape = [](const Shape& shape, bool numbers) -> std::string {
        if (shape.usual() && !numbers) return "";
        return "is the original benchmark's, where each head keeps a share of its tokens, one by one: it has no other "
               "shapes and no numbers of tokens; prefill has, on captured suites";
    };
    info.make = [](const ProtocolSetup& setup) -> std::unique_ptr<Protocol> {
        return std::make_unique<Rescore>(setup);
    };
    return info;
}

} // namespace evictlab
