// SPDX-License-Identifier: MIT
#include "framework/columns/states.hpp"

namespace evictlab::columns {

namespace {

// Ages 'seq_len - 1, ..., 1, 0' once; a row is a window into them that slides by one a query.
class RelativePos final : public ColumnState {
public:
    explicit RelativePos(std::size_t seq_len) : last_(seq_len - 1), ages_(seq_len + row_padding) {
        for (std::size_t i = 0; i < ages_.size(); ++i) ages_[i] = static_cast<double>(last_) - static_cast<double>(i);
    }
    void update(const RowContext& row) override { row_ = ages_.data() + (last_ - row.query); }
    const double* values() const override { return row_; }

private:
    std::size_t last_;
    std::vector<double> ages_;
    const double* row_ = nullptr;
};

} // namespace

ColumnInfo describe_relative_pos() {
    return {"relative_pos", "the query's position minus the token's: its age in queries, from 0", ColumnKind::token,
            [](std::string_view arguments, [[maybe_unused]] std::size_t seq_len) -> std::unique_ptr<ColumnState> {
                require_no_arguments("relative_pos", arguments);
                return std::make_unique<RelativePos>(seq_len);
            }};
}

} // namespace evictlab::columns
