// SPDX-License-Identifier: MIT
#include "framework/columns/states.hpp"

namespace evictlab::columns {

namespace {

class RelativeAge final : public Copyable<RelativeAge> {
public:
    explicit RelativeAge(std::size_t tokens) : values_(padded(tokens)) {}
    void update(const RowContext& row) override {
        const auto seen = static_cast<double>(row.query + 1);
        for (std::size_t i = 0; i < row.tokens; ++i) values_[i] = row.relative_pos[i] / seen;
    }
    const double* values() override { return values_.data(); }

private:
    std::vector<double> values_;
};

} // namespace

ColumnInfo describe_relative_age() {
    return {"relative_age",
            "relative_pos / sequence_len: the token's age, in [0, 1)",
            ColumnKind::token,
            [](std::string_view arguments, [[maybe_unused]] std::size_t tokens) -> std::unique_ptr<ColumnState> {
                require_no_arguments("relative_age", arguments);
                return std::make_unique<RelativeAge>(tokens);
            },
            ColumnNeeds::rows,
            last_query};
}

} // namespace evictlab::columns
