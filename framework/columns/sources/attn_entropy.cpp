// SPDX-License-Identifier: MIT
#include "framework/columns/column_kernels.hpp"
#include "framework/columns/states.hpp"

namespace evictlab::columns {

namespace {

class AttentionEntropy final : public ColumnState {
public:
    explicit AttentionEntropy(std::size_t seq_len) : sums_(padded(seq_len)) {}
    void update(const RowContext& row) override { accumulate_entropy(row.attention, row.query + 1, sums_.data()); }
    const double* values() const override { return sums_.data(); }

private:
    std::vector<double> sums_;
};

} // namespace

ColumnInfo describe_attn_entropy() {
    return {"attn_entropy", "sum of -a ln a of the attention a to the token over all queries so far, this one included",
            ColumnKind::token,
            [](std::string_view arguments, [[maybe_unused]] std::size_t seq_len) -> std::unique_ptr<ColumnState> {
                require_no_arguments("attn_entropy", arguments);
                return std::make_unique<AttentionEntropy>(seq_len);
            }};
}

} // namespace evictlab::columns
