// SPDX-License-Identifier: MIT
#include "framework/fitness/held_layer.hpp"

#include <algorithm>
#include <numeric>

#include "framework/cut/cutter.hpp"
#include "framework/scoring/prompt_columns.hpp"
#include "framework/scoring/scorer_run.hpp"

namespace evictlab {

HeldLayer::HeldLayer(const CapturedTrace& trace, std::size_t layer, std::size_t document, const HeldContent& content)
    : document_(document), tokens_(trace.prompt_len()), shape_(content.shape), kept_(content.kept) {
    const std::span<const ColumnId> ids = content.places.ids();
    const auto any = [ids](ColumnNeeds needs) {
        return std::ranges::any_of(ids, [needs](ColumnId id) { return columns::needs(id) == needs; });
    };
    const OwnedLayer loaded =
        trace.load_layer(layer, {.wov_norms = any(ColumnNeeds::wov_norm), .wo_grams = any(ColumnNeeds::wo_gram)});
    const LayerView view = loaded.view();
    const AttentionRows rows(view);
    heads_ = view.shape.kv_heads;
    PromptColumns columns(view, &rows, ids);
    std::vector<HeldColumn> held;
    for (std::size_t c = 0; c < ids.size(); ++c) held.push_back(hold_column(columns.columns(), c, heads_));
    columns_ = HeldColumns(content.places, std::move(held));
    damage_ = std::make_unique<ContinuationDamage>(
        rows, tokens_, content.metric, content.sensitivity ? trace.load_sensitivity(layer) : AlignedFloats{},
        content.every);
    hold_attention();
}

void HeldLayer::hold_attention() {
    const std::size_t stride = padded(tokens_);
    mean_attention_.resize(heads_ * stride);
    for (std::size_t a = 0; a < heads_; ++a) {
        const auto mean = damage_->mean_attention(a);
        std::ranges::copy(mean, mean_attention_.begin() + static_cast<std::ptrdiff_t>(a * stride));
        total_.push_back(std::accumulate(mean.begin(), mean.end(), 0.0));
    }
}

double* HeldLayer::score(const FitnessJob& job, std::size_t head, HeldScratch& scratch) const {
    scratch.scores.resize(std::max(scratch.scores.size(), padded(tokens_) + row_padding));
    score_head(*job.program, job.constants, columns_, head, tokens_, scratch.scores.data());
    return scratch.scores.data();
}

void HeldLayer::attention_loss(const FitnessJob& job, HeldScratch& scratch, double* errors) const {
    if (!shape_.usual()) {
        all_scores(job, scratch.all_scores, scratch);
        for (std::size_t r = 0; r < kept_.size(); ++r) errors[r] += loss_of(sets(scratch.all_scores, r, scratch));
        return;
    }
    Cutter cutter(kept_.size());
    scratch.kept_mass.resize(kept_.size());
    for (std::size_t a = 0; a < heads_; ++a) {
        cutter.cut(score(job, a, scratch), mean_attention_.data() + a * padded(tokens_), tokens_, kept_,
                   scratch.kept_mass.data());
        for (std::size_t r = 0; r < kept_.size(); ++r)
            errors[r] += (total_[a] - scratch.kept_mass[r]) / static_cast<double>(heads_);
    }
}

void HeldLayer::add_scores(const FitnessJob& job, std::vector<double>& to, HeldScratch& scratch) const {
    for (std::size_t a = 0; a < heads_; ++a) {
        const double* values = score(job, a, scratch);
        to.insert(to.end(), values, values + tokens_);
    }
}

const KeptSets& HeldLayer::sets(std::span<const double> scores, std::size_t retention, HeldScratch& scratch) const {
    scratch.kept = layer_cut(scores, std::vector<std::size_t>(heads_, kept_[retention]), shape_);
    return scratch.kept;
}

double HeldLayer::loss_of(const KeptSets& sets) const {
    double loss = 0;
    for (std::size_t a = 0; a < heads_; ++a) {
        double kept = 0;
        for (const std::uint32_t i : sets[a]) kept += mean_attention_[a * padded(tokens_) + i];
        loss += (total_[a] - kept) / static_cast<double>(heads_);
    }
    return loss;
}

} // namespace evictlab
