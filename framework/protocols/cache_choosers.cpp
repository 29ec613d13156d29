// SPDX-License-Identifier: MIT
#include "framework/protocols/cache_choosers.hpp"

#include <algorithm>
#include <limits>
#include <numeric>

#include "framework/protocols/captured_protocol.hpp"
#include "framework/scoring/stopwatch.hpp"

namespace evictlab {
namespace {

/// For every cached token of every head, its attention in this row: the mean over all query heads of the layer, those
/// that no longer cache it counting 0.
std::vector<std::vector<double>> layer_attention(const CachedHeads& heads, std::size_t tokens) {
    std::vector<double> by_position(tokens);
    std::size_t query_heads = 0;
    for (const CachedHead& head : heads) {
        query_heads += head.group();
        for (std::size_t g = 0; g < head.group(); ++g)
            for (std::size_t i = 0; i < head.tokens(); ++i)
                by_position[head.position(i)] += static_cast<double>(head.attention(g)[i]);
    }
    std::vector<std::vector<double>> rows;
    for (const CachedHead& head : heads) {
        auto& row = rows.emplace_back(padded(head.tokens()));
        for (std::size_t i = 0; i < head.tokens(); ++i)
            row[i] = by_position[head.position(i)] / static_cast<double>(query_heads);
    }
    return rows;
}

} // namespace

KeptSets ScoringChooser::first(double removed_fraction) {
    removed_fraction_ = removed_fraction;
    board_ = std::make_unique<ColumnBoard>(task_.columns.subset(places_.ids()));
    const LayerInput& input = task_.input.of(run_.scorer());
    LayerSelection selection(run_, input);
    selection.select(removed_fraction);
    if (removed_fraction > 0) decided_prompt(selection.scores());
    KeptSets kept = cut_by(run_.scorer(), [&] { return selection.kept(shape_); });
    for (std::size_t a = 0; a < input.heads; ++a) board_->keep(a, kept[a]);
    return kept;
}

void ScoringChooser::saw(CachedHeads& heads) {
    Stopwatch watch;
    layer_rows_ = layer_attention(heads, task_.view.shape.tokens);
    for (std::size_t a = 0; a < heads.size(); ++a) {
        RowContext row = heads[a].row();
        row.layer_attention = layer_rows_[a].data();
        board_->update(a, row);
    }
    seconds_ += watch.lap();
    sequence_len_ = heads[0].position(heads[0].tokens() - 1) + 1;
}

KeptSets ScoringChooser::select(std::size_t heads, std::size_t tokens, double removed_fraction,
                                std::vector<double>& scores) {
    board_->read_newest(tokens);
    BoardColumns columns(places_, *board_);
    LayerInput input;
    input.layer = task_.view.layer;
    input.num_layers = task_.view.num_layers;
    input.heads = heads;
    input.tokens = tokens;
    input.sequence_len = sequence_len_;
    input.columns = &columns;
    input.calibration = task_.view.calibration ? task_.view.calibration->whole : nullptr;
    LayerSelection selection(run_, input);
    selection.select(removed_fraction);
    scores.assign(selection.scores().begin(), selection.scores().end());
    return cut_by(run_.scorer(), [&] { return selection.kept(shape_); });
}

KeptSets CapacityChooser::again(CachedHeads& heads, std::size_t capacity) {
    Stopwatch watch;
    const std::size_t tokens = heads[0].tokens();
    std::vector<double> scores;
    KeptSets kept = select(heads.size(), tokens, removed_fraction_for_kept(tokens, capacity), scores);
    for (std::size_t a = 0; a < heads.size(); ++a) forget(a, kept[a]);
    seconds_ += watch.lap();
    return kept;
}

KeptSets ThresholdChooser::first(double removed_fraction) {
    const std::size_t window = run_.scorer().window();
    open_ = prompt_ - std::min(prompt_, window);
    return ScoringChooser::first(removed_fraction);
}

void ThresholdChooser::decided_prompt(std::span<const double> scores) { note(scores, end_ - prompt_); }

void ThresholdChooser::note(std::span<const double> scores, std::size_t queries) {
    if (!decided_) return;
    for (const double score : scores)
        if (score < std::numeric_limits<double>::infinity()) decided_->push_back({score, static_cast<double>(queries)});
}

bool ThresholdChooser::full(const CachedHeads&, std::size_t) const {
    return removed_fraction() > 0 && sequence_len() - open_ > run_.scorer().window();
}

KeptSets ThresholdChooser::again(CachedHeads& heads, std::size_t) {
    Stopwatch watch;
    const std::size_t tokens = sequence_len() - open_;
    std::vector<double> scores;
    const KeptSets newest = select(heads.size(), tokens, removed_fraction(), scores);
    note(scores, end_ - (sequence_len() - 1));
    open_ = sequence_len() - run_.scorer().window();
    KeptSets kept;
    for (std::size_t a = 0; a < heads.size(); ++a) {
        const auto before = static_cast<std::uint32_t>(heads[a].tokens() - tokens);
        std::vector<std::uint32_t>& slots = kept.emplace_back(before);
        std::iota(slots.begin(), slots.end(), 0U);
        for (const std::uint32_t slot : newest[a]) slots.push_back(before + slot);
        forget(a, slots);
    }
    seconds_ += watch.lap();
    return kept;
}

KeptSets OracleChooser::first(double removed_fraction) {
    to_come_.assign(damage_.kv_heads(), std::vector<double>(damage_.tokens()));
    for (std::size_t a = 0; a < damage_.kv_heads(); ++a)
        for (std::size_t i = 0; i < damage_.judged(); ++i) count(a, i, 1);
    next_ = 0;
    const std::size_t capacity = kept_count_for_removed(damage_.prompt(), removed_fraction);
    std::vector<double> scores;
    for (const auto& head : to_come_)
        scores.insert(scores.end(), head.begin(), head.begin() + static_cast<std::ptrdiff_t>(damage_.prompt()));
    return layer_cut(scores, std::vector<std::size_t>(damage_.kv_heads(), capacity), shape_);
}

void OracleChooser::saw(CachedHeads&) {
    for (std::size_t a = 0; a < to_come_.size(); ++a) count(a, next_, -1);
    ++next_;
}

KeptSets OracleChooser::again(CachedHeads& heads, std::size_t capacity) {
    std::vector<double> scores;
    for (std::size_t a = 0; a < heads.size(); ++a)
        for (std::size_t i = 0; i < heads[a].tokens(); ++i) scores.push_back(to_come_[a][heads[a].position(i)]);
    return layer_cut(scores, std::vector<std::size_t>(heads.size(), capacity), shape_);
}

void OracleChooser::count(std::size_t a, std::size_t judged, double sign) {
    const std::size_t group = damage_.group();
    for (std::size_t h = a * group; h < (a + 1) * group; ++h)
        for (std::size_t j = 0; j <= damage_.prompt() + judged; ++j)
            to_come_[a][j] += sign * static_cast<double>(damage_.attention(h, j, judged));
}

} // namespace evictlab
