// SPDX-License-Identifier: MIT
#include <algorithm>
#include <optional>
#include <span>

#include "base/numeric/sums.hpp"
#include "framework/columns/states.hpp"
#include "framework/columns/window.hpp"

namespace evictlab::columns {
namespace {

struct Shape {
    std::size_t window = usual_window; ///< 0: of all queries
    std::size_t ahead = 1;             ///< tokens that the highest is taken of; 1 is the token alone
};

Shape read(std::string_view text) {
    Arguments arguments("layer_attn", text);
    Shape shape;
    shape.window = arguments.number("the window", usual_window, 0, longest_window);
    shape.ahead = arguments.keyed("ahead", 1, 1, 1023);
    arguments.end("layer_attn:8, layer_attn:0 for all queries, or layer_attn:8:ahead=7");
    return shape;
}

class LayerAttention final : public Copyable<LayerAttention> {
public:
    LayerAttention(Shape shape, std::size_t tokens) : shape_(shape), mean_(padded(tokens)), highest_(padded(tokens)) {
        if (shape.window > 0)
            latest_.emplace(shape.window, tokens);
        else
            sums_.resize(padded(tokens));
    }
    void update(const RowContext& row) override {
        if (latest_)
            latest_->add(row.layer_attention, row.tokens, row.query);
        else
            numeric::accumulate(row.layer_attention, row.tokens, sums_.data());
        ++queries_;
        tokens_ = row.tokens;
        fresh_ = false;
    }
    const double* values() override {
        if (!fresh_) refresh();
        return shape_.ahead == 1 ? mean_.data() : highest_.data();
    }
    void keep(std::span<const std::uint32_t> slots) override {
        if (latest_)
            latest_->keep(slots);
        else
            keep_slots(sums_, slots);
        tokens_ = slots.size();
        fresh_ = false;
    }

private:
    void refresh() {
        const double* const sums = latest_ ? latest_->sums() : sums_.data();
        const auto queries = static_cast<double>(latest_ ? latest_->rows() : queries_);
        const std::span mean(mean_.data(), tokens_);
        for (std::size_t i = 0; i < tokens_; ++i) mean[i] = sums[i] / queries;
        for (std::size_t i = 0; shape_.ahead > 1 && i < tokens_; ++i)
            highest_[i] = std::ranges::max(mean.subspan(i, std::min(shape_.ahead, tokens_ - i)));
        fresh_ = true;
    }

    Shape shape_;
    std::optional<WindowRows> latest_;
    std::vector<double> sums_; ///< of all rows, where there is no window
    std::size_t queries_ = 0, tokens_ = 0;
    bool fresh_ = false;
    std::vector<double> mean_, highest_;
};

} // namespace

ColumnInfo describe_layer_attn() {
    return {"layer_attn",
            "attention to the token, mean over the last W queries of all query heads of the layer: layer_attn:W (64), "
            "layer_attn:0 over all queries; with :ahead=K the highest of the token and the K - 1 that follow it, as "
            "OpenVINO GenAI has it",
            ColumnKind::token,
            [](std::string_view arguments, std::size_t tokens) -> std::unique_ptr<ColumnState> {
                return std::make_unique<LayerAttention>(read(arguments), tokens);
            },
            ColumnNeeds::layer_rows,
            [](std::string_view arguments) {
                const std::size_t window = read(arguments).window;
                return window > 0 ? window : all_history;
            }};
}

} // namespace evictlab::columns
