// SPDX-License-Identifier: MIT
#include <algorithm>
#include <cmath>

#include "base/numeric/sums.hpp"
#include "framework/columns/states.hpp"

namespace evictlab::columns {

namespace {

class ObservedAttention final : public Copyable<ObservedAttention> {
public:
    explicit ObservedAttention(std::size_t tokens) : sums_(padded(tokens)), values_(padded(tokens)) {}
    void update(const RowContext& row) override {
        numeric::accumulate(row.attention, row.tokens, sums_.data());
        const double most = row.sliding_window > 0 ? static_cast<double>(row.sliding_window) : HUGE_VAL;
        for (std::size_t i = 0; i < row.tokens; ++i) values_[i] = sums_[i] / std::min(row.relative_pos[i] + 1, most);
    }
    const double* values() override { return values_.data(); }
    void keep(std::span<const std::uint32_t> slots) override { keep_slots(sums_, slots); }

private:
    std::vector<double> sums_, values_;
};

} // namespace

ColumnInfo describe_observed_attn() {
    return {"observed_attn", "mean of the attention to the token over the queries so far that could see it",
            ColumnKind::token,
            [](std::string_view arguments, [[maybe_unused]] std::size_t tokens) -> std::unique_ptr<ColumnState> {
                require_no_arguments("observed_attn", arguments);
                return std::make_unique<ObservedAttention>(tokens);
            }};
}

} // namespace evictlab::columns
