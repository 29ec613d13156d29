// SPDX-License-Identifier: MIT
#include "framework/evaluation/layer_judge.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "framework/evaluation/layer_pass.hpp"
#include "framework/evaluation/rank.hpp"
#include "framework/evaluation/rank_kernels.hpp"
#include "framework/evaluation/scorecard.hpp"

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
    for (std::size_t s = 0; s < scorers_.size(); ++s) {
        if (scorers_[s].is_formula()) continue;
        try {
            auto instance = scorers_[s].plugin()->create(scorers_[s].values());
            if (scorers_[s].plugin()->concurrent()) shared_[s] = std::move(instance);
        } catch (const PluginError& error) {
            failures.emplace(s, error);
        }
    }
}

/// The state of one call of judge().
class LayerRun {
public:
    LayerRun(const LayerJudge& judge, const Trace& trace, std::size_t layer)
        : judge_(judge), trace_(trace), pass_(trace, layer, judge.columns_), kept_(judge.retentions_.size()),
          kept_mass_(kept_.size()), scores_(trace.heads() * padded(trace.seq_len()) + row_padding),
          errors_((judge.scorers_.size() + 1) * kept_.size()), runners_(judge.scorers_.size() + 1) {
        for (Runner& runner : runners_) runner.rankers.assign(trace.heads(), Ranker(kept_.size()));
    }

    void leave_out(std::size_t scorer) { runners_[scorer].active = false; }

    void make_instance(std::size_t scorer) {
        const Scorer& s = judge_.scorers_[scorer];
        if (!runners_[scorer].active || s.is_formula()) return;
        if (!judge_.shared_[scorer]) runners_[scorer].own = s.plugin()->create(s.values());
    }

    void run(const JudgeHooks& hooks) {
        while (pass_.advance()) {
            if (hooks.stop && hooks.stop->load(std::memory_order_relaxed)) throw Interrupted("stopped");
            if (!pass_.judged()) continue;
            const std::size_t n = pass_.tokens();
            for (std::size_t r = 0; r < kept_.size(); ++r) kept_[r] = kept_count(n, judge_.retentions_[r]);
            for (std::size_t s = 0; s < judge_.scorers_.size(); ++s) {
                if (!runners_[s].active) continue;
                try {
                    score(s);
                    judge_scores(s);
                } catch (const PluginError& error) {
                    runners_[s].active = false;
                    hooks.failed(s, error);
                }
            }
            judge_oracle();
            ++rows_;
        }
    }

    std::vector<double> mean_errors() && {
        const auto count = static_cast<double>(rows_ * trace_.heads());
        for (double& error : errors_) error /= count;
        return std::move(errors_);
    }

private:
    struct Runner {
        bool active = true;
        std::vector<Ranker> rankers; ///< [head]
        std::unique_ptr<ScorerInstance> own;
    };

    /// Head h's scores are at scores_ + h * n, as plugins write them.
    void score(std::size_t s) {
        const Scorer& scorer = judge_.scorers_[s];
        const std::size_t n = pass_.tokens();
        const auto& index = judge_.column_index_[s];
        if (scorer.is_formula()) {
            const formula::Program& program = scorer.program();
            for (std::size_t head = 0; head < pass_.heads(); ++head) {
                views_.clear();
                for (const std::size_t column : index) views_.push_back(pass_.columns().view(column, head));
                program.evaluate(views_, program.constants(), n, scores_.data() + head * n, workspace_);
            }
            return;
        }
        pointers_.resize(index.size());
        strides_.resize(index.size());
        for (std::size_t i = 0; i < index.size(); ++i) pointers_[i] = pass_.columns().filled(index[i], strides_[i]);
        const evl_batch batch{sizeof(evl_batch),
                              static_cast<std::uint32_t>(pass_.layer()),
                              static_cast<std::uint32_t>(pass_.num_layers()),
                              static_cast<std::uint32_t>(pass_.heads()),
                              static_cast<std::uint32_t>(n),
                              n,
                              pointers_.data(),
                              strides_.data(),
                              0,
                              0,
                              nullptr};
        (runners_[s].own ? *runners_[s].own : *judge_.shared_[s]).score(batch, scores_.data());
    }

    void judge_scores(std::size_t s) {
        const std::size_t n = pass_.tokens();
        for (std::size_t head = pass_.heads(); head-- > 0;) { // from the back: a cut may write behind its n scores
            const std::size_t at = cut_head(s, head, scores_.data() + head * n);
            if (at != Ranker::no_nan)
                throw PluginError(judge_.scorers_[s].label(), "score",
                                  fmt::format("the score is NaN at layer {}, head {}, position {} (trace {}, query {})",
                                              pass_.layer(), head, at, trace_.name(), pass_.query()));
        }
    }

    void judge_oracle() {
        for (std::size_t head = 0; head < pass_.heads(); ++head) {
            std::copy_n(pass_.attention(head), pass_.tokens(), scores_.data());
            cut_head(judge_.scorers_.size(), head, scores_.data());
        }
    }

    std::size_t cut_head(std::size_t s, std::size_t head, double* scores) {
        const double* mass = pass_.attention(head);
        const std::size_t n = pass_.tokens();
        const std::size_t at = runners_[s].rankers[head].cut(scores, mass, n, kept_, kept_mass_.data());
        if (at != Ranker::no_nan) return at;
        const double all = sum(mass, n);
        for (std::size_t r = 0; r < kept_.size(); ++r) errors_[s * kept_.size() + r] += (all - kept_mass_[r]) / all;
        return Ranker::no_nan;
    }

    const LayerJudge& judge_;
    const Trace& trace_;
    LayerPass pass_;
    std::vector<std::size_t> kept_;
    std::vector<double> kept_mass_, scores_, errors_;
    std::vector<Runner> runners_;
    std::vector<formula::ColumnView> views_;
    formula::Workspace workspace_;
    std::vector<const double*> pointers_;
    std::vector<std::ptrdiff_t> strides_;
    std::size_t rows_ = 0;
};

double LayerJudge::cost(const Trace& trace) const {
    const auto n = static_cast<double>(trace.seq_len());
    return n * n / 2 * static_cast<double>(trace.heads());
}

LayerFigures LayerJudge::judge(const Trace& trace, std::size_t layer, const JudgeHooks& hooks) const {
    LayerRun run(*this, trace, layer);
    for (std::size_t s = 0; s < scorers_.size(); ++s) {
        try {
            if (hooks.skip(s))
                run.leave_out(s);
            else
                run.make_instance(s);
        } catch (const PluginError& error) {
            run.leave_out(s);
            hooks.failed(s, error);
        }
    }
    run.run(hooks);
    return {std::move(run).mean_errors(), {}};
}

} // namespace evictlab
