// SPDX-License-Identifier: MIT
#include "framework/columns/column_kernels.hpp"
#include "framework/columns/states.hpp"

namespace evictlab::columns {

namespace {

class CumulativeAttention final : public ColumnState {
public:
    explicit CumulativeAttention(std::size_t seq_len) : sums_(padded(seq_len)) {}
    void update(const RowContext& row) override { accumulate(row.attention, row.query + 1, sums_.data()); }
    const double* values() const override { return sums_.data(); }

private:
    std::vector<double> sums_;
};

} // namespace

ColumnInfo describe_cumulative_attn() {
    return {"cumulative_attn", "sum of the attention to the token over all queries so far, this one included",
            ColumnKind::token,
            [](std::string_view arguments, [[maybe_unused]] std::size_t seq_len) -> std::unique_ptr<ColumnState> {
                require_no_arguments("cumulative_attn", arguments);
                return std::make_unique<CumulativeAttention>(seq_len);
            }};
}

} // namespace evictlab::columns
