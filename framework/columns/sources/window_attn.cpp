// SPDX-License-Identifier: MIT
#include <span>

#include "base/numeric/pooling.hpp"
#include "framework/columns/states.hpp"
#include "framework/columns/window.hpp"

namespace evictlab::columns {
namespace {

struct Shape {
    std::size_t window = usual_window;
    std::size_t kernel = 1; ///< of the pooling; 1 is none
    numeric::Pooling pooling = numeric::Pooling::average;
};

Shape read(std::string_view text) {
    Arguments arguments("window_attn", text);
    Shape shape;
    shape.window = arguments.number("the window", usual_window, 1, longest_window);
    shape.kernel = arguments.pool(1);
    if (arguments.word("max"))
        shape.pooling = numeric::Pooling::maximum;
    else
        arguments.word("avg");
    arguments.end("window_attn:64, window_attn:64:pool=5:avg or window_attn:64:pool=5:max");
    return shape;
}

/// SnapKV's mean over the window's queries; pooling runs along the tokens before the window, with zeros outside of them
/// for the average (whose divisor is always the kernel) and nothing for the maximum.
class WindowAttention final : public Copyable<WindowAttention> {
public:
    WindowAttention(Shape shape, std::size_t tokens)
        : shape_(shape), rows_(shape.window, tokens), mean_(padded(tokens)) {}
    void update(const RowContext& row) override {
        rows_.add(row.attention, row.tokens, row.query);
        tokens_ = row.tokens;
        fresh_ = false;
    }
    const double* values() override {
        if (!fresh_) refresh();
        return shape_.kernel == 1 ? mean_.data() : pooled_.data();
    }
    void keep(std::span<const std::uint32_t> slots) override { rows_.keep(slots); }

private:
    void refresh() {
        const auto queries = static_cast<double>(rows_.rows());
        for (std::size_t i = 0; i < tokens_; ++i) mean_[i] = rows_.sums()[i] / queries;
        fresh_ = true;
        if (shape_.kernel == 1) return;
        pooled_ = mean_;
        const std::size_t before = tokens_ > shape_.window ? tokens_ - shape_.window : 0;
        numeric::pool(std::span(mean_).first(before), shape_.kernel, shape_.pooling, pooled_.data());
    }

    Shape shape_;
    WindowRows rows_;
    std::size_t tokens_ = 0;
    bool fresh_ = false;
    std::vector<double> mean_, pooled_;
};

} // namespace

ColumnInfo describe_window_attn() {
    return {"window_attn",
            "mean of the attention to the token over the last W queries: window_attn:W (64); window_attn:W:pool=K:avg "
            "or :max pools it along the K nearest tokens before the window, as SnapKV does",
            ColumnKind::token,
            [](std::string_view arguments, std::size_t tokens) -> std::unique_ptr<ColumnState> {
                return std::make_unique<WindowAttention>(read(arguments), tokens);
            },
            ColumnNeeds::rows,
            [](std::string_view arguments) { return read(arguments).window; }};
}

} // namespace evictlab::columns
