// SPDX-License-Identifier: MIT
#include "framework/protocols/rescore.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "framework/cut/cutter.hpp"
#include "framework/cut/rank_kernels.hpp"
#include "framework/scoring/layer_pass.hpp"

namespace evictlab {

LayerJudge::LayerJudge(std::span<const Scorer> scorers, std::span<const double> retentions)
    : scorers_(scorers), retentions_(retentions), columns_(columns_of(scorers)), shared_(scorers.size()) {
    for (const Scorer& scorer : scorers) {
        auto& index = column_index_.emplace_back();
        for (const ColumnId id : scorer.columns())
            index.push_back(static_cast<std::size_t>(std::ranges::lower_bound(columns_, id) - columns_.begin()));
    }
}

void LayerJudge::create_instances(std::map<std::size_t, PluginError>& failures) {
    for_each_scorer(scorers_.size(), failures, [this](std::size_t s) {
        if (scorers_[s].is_formula()) return;
        auto instance = scorers_[s].plugin()->create(scorers_[s].values());
        if (scorers_[s].plugin()->concurrent())
            shared_[s] = std::move(instance);
        else
            instance->end();
    });
}

void LayerJudge::end_instances(std::map<std::size_t, PluginError>& failures) {
    for_each_scorer(scorers_.size(), failures, [this](std::size_t s) {
        if (shared_[s]) shared_[s]->end();
    });
}

/// The state of one call of judge().
class LayerRun {
public:
    LayerRun(const LayerJudge& judge, const Trace& trace, std::size_t layer, const JudgeHooks& hooks)
        : judge_(judge), trace_(trace), hooks_(hooks), pass_(trace, layer, judge.columns_),
          kept_(judge.retentions_.size()), kept_mass_(kept_.size()),
          scores_(trace.heads() * padded(trace.seq_len()) + row_padding),
          errors_((judge.scorers_.size() + 1) * kept_.size()), runners_(judge.scorers_.size() + 1),
          held_(judge.held_.local()) {
        held_.clear(); // of a run that threw
        for (Runner& runner : runners_) runner.rankers.assign(trace.heads(), Cutter(kept_.size()));
        for (std::size_t s = 0; s < judge.scorers_.size(); ++s)
            if (hooks.skip(s))
                runners_[s].active = false;
            else
                guarded(s, [&] { make_ready(s); });
        if (rows_shared_)
            for (const auto& values : pass_.lasting_arrays()) rows_shared_->hold(values);
    }

    void run() {
        while (pass_.advance()) {
            if (hooks_.stop && hooks_.stop->load(std::memory_order_relaxed)) throw Interrupted("stopped");
            if (!pass_.judged()) continue;
            for (std::size_t r = 0; r < kept_.size(); ++r) kept_[r] = kept_count(pass_.tokens(), judge_.retentions_[r]);
            const JudgedRow row{pass_.query(), pass_.tokens(), kept_, pass_.attention(0), pass_.head_stride()};
            for (std::size_t s = 0; s < judge_.scorers_.size(); ++s) guarded(s, [&] { score(s, row); });
            judge_oracle(row);
            ++rows_;
            if (queued_ > 0) hold(row);
        }
        score_held();
    }

    std::vector<double> mean_errors() && {
        const auto count = static_cast<double>(rows_ * trace_.heads());
        for (double& error : errors_) error /= count;
        return std::move(errors_);
    }

private:
    struct Runner {
        bool active = true;
        std::vector<Cutter> rankers; ///< [head]
        std::unique_ptr<ScorerInstance> own;
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
            hooks_.failed(s, error);
        }
    }

    void make_ready(std::size_t s) {
        const Scorer& scorer = judge_.scorers_[s];
        if (scorer.is_formula()) return;
        if (!judge_.shared_[s]) runners_[s].own = scorer.plugin()->create(scorer.values());
        runners_[s].queue = instance(s).queue(rows_shared_);
        if (runners_[s].queue) ++queued_;
    }

    const ScorerInstance& instance(std::size_t s) const {
        return runners_[s].own ? *runners_[s].own : *judge_.shared_[s];
    }

    /// Scores and judges the row, or puts it into the scorer's queue. Head h's scores are at scores_ + h * n, as
    /// plugins write them.
    void score(std::size_t s, const JudgedRow& row) {
        if (judge_.scorers_[s].is_formula()) {
            score_formula(s);
        } else {
            const evl_batch batch = batch_for(s);
            if (runners_[s].queue) return runners_[s].queue->add(batch);
            instance(s).score(batch, scores_.data());
        }
        judge_scores(s, row);
    }

    void score_formula(std::size_t s) {
        const formula::Program& program = judge_.scorers_[s].program();
        const std::size_t n = pass_.tokens();
        for (std::size_t head = 0; head < pass_.heads(); ++head) {
            views_.clear();
            for (const std::size_t column : judge_.column_index_[s])
                views_.push_back(pass_.columns().view(column, head));
            program.evaluate(views_, program.constants(), n, scores_.data() + head * n, workspace_);
        }
    }

    evl_batch batch_for(std::size_t s) {
        const auto& index = judge_.column_index_[s];
        pointers_.resize(index.size());
        strides_.resize(index.size());
        for (std::size_t i = 0; i < index.size(); ++i) pointers_[i] = pass_.columns().filled(index[i], strides_[i]);
        return {sizeof(evl_batch),
                static_cast<std::uint32_t>(pass_.layer()),
                static_cast<std::uint32_t>(pass_.num_layers()),
                static_cast<std::uint32_t>(pass_.heads()),
                static_cast<std::uint32_t>(pass_.tokens()),
                pass_.tokens(),
                pointers_.data(),
                strides_.data(),
                0,
                0,
                nullptr};
    }

    void hold(const JudgedRow& row) {
        held_.add(row, trace_.heads());
        if (rows_shared_) rows_shared_->next_row();
        if (held_.full()) score_held();
    }

    /// All queues are set off before the first is waited for.
    void score_held() {
        const auto for_queues = [&](auto step) {
            for (std::size_t s = 0; s < judge_.scorers_.size(); ++s)
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
            if (at != Cutter::no_nan)
                throw PluginError(judge_.scorers_[s].label(), "score",
                                  fmt::format("the score is NaN at layer {}, head {}, position {} (trace {}, query {})",
                                              pass_.layer(), head, at, trace_.name(), row.query));
        }
    }

    void judge_oracle(const JudgedRow& row) {
        for (std::size_t head = 0; head < pass_.heads(); ++head) {
            std::copy_n(pass_.attention(head), row.tokens, scores_.data());
            cut_head(judge_.scorers_.size(), head, row, scores_.data());
        }
    }

    std::size_t cut_head(std::size_t s, std::size_t head, const JudgedRow& row, double* scores) {
        const double* mass = row.mass + head * row.mass_stride;
        const std::size_t at = runners_[s].rankers[head].cut(scores, mass, row.tokens, row.kept, kept_mass_.data());
        if (at != Cutter::no_nan) return at;
        const double all = sum(mass, row.tokens);
        for (std::size_t r = 0; r < row.kept.size(); ++r)
            errors_[s * row.kept.size() + r] += (all - kept_mass_[r]) / all;
        return Cutter::no_nan;
    }

    const LayerJudge& judge_;
    const Trace& trace_;
    const JudgeHooks& hooks_;
    LayerPass pass_;
    std::vector<std::size_t> kept_;
    std::vector<double> kept_mass_, scores_, errors_;
    std::vector<Runner> runners_;
    std::vector<formula::ColumnView> views_;
    formula::Workspace workspace_;
    std::vector<const double*> pointers_;
    std::vector<std::ptrdiff_t> strides_;
    HeldRows& held_;
    std::size_t queued_ = 0; ///< scorers with a queue
    std::shared_ptr<SharedRows> rows_shared_;
    std::size_t rows_ = 0;
};

double LayerJudge::cost(const Trace& trace) const {
    const auto n = static_cast<double>(trace.seq_len());
    return n * n / 2 * static_cast<double>(trace.heads());
}

LayerFigures LayerJudge::judge(const Trace& trace, std::size_t layer, const JudgeHooks& hooks) const {
    LayerRun run(*this, trace, layer, hooks);
    run.run();
    return {std::move(run).mean_errors(), {}};
}

} // namespace evictlab
