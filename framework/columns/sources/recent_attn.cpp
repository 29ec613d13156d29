// SPDX-License-Identifier: MIT
#include "framework/columns/column_kernels.hpp"
#include "framework/columns/states.hpp"

namespace evictlab::columns {

namespace {

// The seed's window is queries q - min(32, q) .. q: 33 rows, the judged one among them.
constexpr std::size_t window = 33;

class RecentAttention final : public ColumnState {
public:
    explicit RecentAttention(std::size_t seq_len) : stride_(padded(seq_len)), sums_(stride_), rows_(window * stride_) {}
    void update(const RowContext& row) override {
        double* oldest = rows_.data() + (row.query % window) * stride_; // of query - window, whose keys ended there
        slide(row.attention, row.query + 1, oldest, sums_.data());
    }
    const double* values() const override { return sums_.data(); }

private:
    std::size_t stride_;
    std::vector<double> sums_;
    std::vector<double> rows_;
};

} // namespace

ColumnInfo describe_recent_attn() {
    return {"recent_attn", "sum of the attention to the token over the last 33 queries, this one included",
            ColumnKind::token,
            [](std::string_view arguments, [[maybe_unused]] std::size_t seq_len) -> std::unique_ptr<ColumnState> {
                require_no_arguments("recent_attn", arguments);
                return std::make_unique<RecentAttention>(seq_len);
            }};
}

} // namespace evictlab::columns
