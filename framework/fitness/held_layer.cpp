// SPDX-License-Identifier: MIT
#include "framework/fitness/held_layer.hpp"

#include <algorithm>
#include <numeric>

#include "framework/cut/cutter.hpp"

namespace evictlab {

HeldLayer::HeldLayer(const CapturedTrace& trace, std::size_t layer, std::size_t document, const BlockContent& content)
    : ids_(content.ids), document_(document), tokens_(trace.prompt_len()) {
    const bool wov = std::ranges::any_of(ids_, [](ColumnId id) { return columns::needs(id) == ColumnNeeds::wov_norm; });
    const CapturedLayer loaded(trace, layer, wov);
    heads_ = loaded.view().shape().kv_heads;
    for (const double r : content.retentions) kept_.push_back(kept_count_for_removed(tokens_, 1.0 - r));
    PromptColumns columns(loaded.view(), ids_);
    hold_columns(columns);
    judge_ = std::make_unique<ContinuationDamage>(loaded.rows(), tokens_, content.metric,
                                                  content.sensitivity ? trace.load_sensitivity(layer) : AlignedFloats{},
                                                  content.every);
    hold_attention();
}

void HeldLayer::hold_columns(PromptColumns& columns) {
    const std::size_t stride = padded(tokens_);
    for (std::size_t c = 0; c < ids_.size(); ++c) {
        auto& values = columns_.emplace_back();
        if (const auto view = columns.columns().view(c, 0); view.uniform) {
            values.assign(1, *view.data);
            continue;
        }
        values.resize(heads_ * stride);
        for (std::size_t a = 0; a < heads_; ++a)
            std::copy_n(columns.columns().view(c, a).data, tokens_,
                        values.begin() + static_cast<std::ptrdiff_t>(a * stride));
    }
}

void HeldLayer::hold_attention() {
    const std::size_t stride = padded(tokens_);
    mean_attention_.resize(heads_ * stride);
    for (std::size_t a = 0; a < heads_; ++a) {
        const auto mean = judge_->mean_attention(a);
        std::ranges::copy(mean, mean_attention_.begin() + static_cast<std::ptrdiff_t>(a * stride));
        total_.push_back(std::accumulate(mean.begin(), mean.end(), 0.0));
    }
}

const double* HeldLayer::column(std::size_t index, std::size_t head) const {
    const auto& values = columns_[index];
    return values.data() + (values.size() > 1 ? head * padded(tokens_) : 0);
}

double* HeldLayer::score(const FitnessJob& job, std::size_t head, BlockScratch& scratch) const {
    const auto needed = job.program->columns();
    scratch.views.resize(needed.size());
    for (std::size_t i = 0; i < needed.size(); ++i) {
        const auto c = static_cast<std::size_t>(std::ranges::lower_bound(ids_, needed[i]) - ids_.begin());
        scratch.views[i] = {column(c, head), columns_[c].size() == 1};
    }
    scratch.scores.resize(std::max(scratch.scores.size(), padded(tokens_) + row_padding));
    job.program->evaluate(scratch.views, job.constants, tokens_, scratch.scores.data(), scratch.workspace);
    return scratch.scores.data();
}

void HeldLayer::attention_loss(const FitnessJob& job, BlockScratch& scratch, double* errors) const {
    Cutter ranker(kept_.size());
    scratch.kept_mass.resize(kept_.size());
    for (std::size_t a = 0; a < heads_; ++a) {
        ranker.cut(score(job, a, scratch), mean_attention_.data() + a * padded(tokens_), tokens_, kept_,
                   scratch.kept_mass.data());
        for (std::size_t r = 0; r < kept_.size(); ++r)
            errors[r] += (total_[a] - scratch.kept_mass[r]) / static_cast<double>(heads_);
    }
}

std::vector<std::vector<double>> HeldLayer::all_scores(const FitnessJob& job, BlockScratch& scratch) const {
    std::vector<std::vector<double>> scores;
    for (std::size_t a = 0; a < heads_; ++a) {
        const double* values = score(job, a, scratch);
        scores.emplace_back(values, values + tokens_);
    }
    return scores;
}

} // namespace evictlab
