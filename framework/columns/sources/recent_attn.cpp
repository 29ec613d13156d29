// SPDX-License-Identifier: MIT
#include "framework/columns/states.hpp"
#include "framework/columns/window.hpp"

namespace evictlab::columns {

namespace {

// The seed's window is queries q - min(32, q) .. q: 33 rows, the judged one among them.
constexpr std::size_t window = 33;

class RecentAttention final : public Copyable<RecentAttention> {
public:
    explicit RecentAttention(std::size_t tokens) : rows_(window, tokens) {}
    void update(const RowContext& row) override { rows_.add(row.attention, row.tokens, row.query); }
    const double* values() override { return rows_.sums(); }
    void keep(std::span<const std::uint32_t> slots) override { rows_.keep(slots); }

private:
    WindowRows rows_;
};

} // namespace

ColumnInfo describe_recent_attn() {
    return {"recent_attn",
            "sum of the attention to the token over the last 33 queries, this one included",
            ColumnKind::token,
            [](std::string_view arguments, [[maybe_unused]] std::size_t tokens) -> std::unique_ptr<ColumnState> {
                require_no_arguments("recent_attn", arguments);
                return std::make_unique<RecentAttention>(tokens);
            },
            ColumnNeeds::rows,
            [](std::string_view) { return window; }};
}

} // namespace evictlab::columns
