// How the heads of all layers share one budget by the highest scores of the whole model.
// SPDX-License-Identifier: MIT
#pragma once
#include <evictlab/scorer.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

/// Cells, that is tokens of all heads, in all layers that are held.
inline std::size_t cells_of(evictlab::Model model) {
    std::size_t cells = 0;
    for (std::size_t i = 0; i < model.size(); ++i) cells += model[i].scores().size();
    return cells;
}

/// What is left of so many cells by kvpress's rule for a budget of many heads: (int)(cells * c) go.
inline std::size_t cells_left(std::size_t cells, double removed_fraction) {
    return cells - std::min(cells, static_cast<std::size_t>(static_cast<double>(cells) * removed_fraction));
}

/// Sets kept, of every head of every layer, to how many of the model's `total` best cells lie there. Scores may be
/// infinite. Among equal ones the lower layer comes first, then the lower head.
inline void share_among_layers(evictlab::Model model, std::size_t total, std::span<std::uint64_t> kept) {
    std::ranges::fill(kept, 0);
    std::vector<double> all;
    all.reserve(cells_of(model));
    for (std::size_t i = 0; i < model.size(); ++i)
        all.insert(all.end(), model[i].scores().begin(), model[i].scores().end());
    total = std::min(total, all.size());
    if (total == 0) return;
    const auto last = all.begin() + static_cast<std::ptrdiff_t>(total) - 1;
    std::nth_element(all.begin(), last, all.end(), std::greater{});
    const double boundary = *last;
    auto ties =
        total - static_cast<std::size_t>(std::count_if(all.begin(), last, [&](double s) { return s > boundary; }));
    std::size_t head = 0;
    for (std::size_t i = 0; i < model.size(); ++i)
        for (std::size_t h = 0; h < model[i].heads(); ++h, ++head)
            for (const double score : model[i].scores().subspan(h * model[i].tokens(), model[i].tokens())) {
                if (score < boundary || (score == boundary && ties == 0)) continue;
                if (score == boundary) --ties;
                ++kept[head];
            }
}

/// The model's best cells of all heads and layers, as many as cells_left() of them.
inline void share_model(evictlab::Model model, std::span<std::uint64_t> kept) {
    share_among_layers(model, cells_left(cells_of(model), model.removed_fraction()), kept);
}
