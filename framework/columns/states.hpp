// The shapes that most columns have, so that a column's file states its rule and nothing else.
// SPDX-License-Identifier: MIT
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "framework/columns/column.hpp"
#include "framework/error.hpp"

namespace evictlab::columns {

/// For columns that take no parameters in their name.
inline void require_no_arguments(std::string_view column, std::string_view arguments) {
    if (!arguments.empty())
        throw UsageError("column '" + std::string(column) +
                         "' takes no parameters, but got ':" + std::string(arguments) + "'");
}

/// One value for a whole row or layer, from the row's context.
class UniformState final : public ColumnState {
public:
    using Rule = double (*)(const RowContext&);
    explicit UniformState(Rule rule) : rule_(rule) {}
    void update(const RowContext& row) override { value_ = rule_(row); }
    const double* values() const override { return &value_; }

private:
    Rule rule_;
    double value_ = 0;
};

/// Values a token that never change while the sequence grows.
class FixedState final : public ColumnState {
public:
    using Rule = double (*)(std::size_t position);
    FixedState(std::size_t seq_len, Rule rule) : values_(padded(seq_len)) {
        for (std::size_t i = 0; i < values_.size(); ++i) values_[i] = rule(i);
    }
    void update(const RowContext&) override {}
    const double* values() const override { return values_.data(); }

private:
    std::vector<double> values_;
};

/// A per-token array of the trace itself, passed through.
class TraceState final : public ColumnState {
public:
    using Field = const double* RowContext::*;
    explicit TraceState(Field field) : field_(field) {}
    void update(const RowContext& row) override { values_ = row.*field_; }
    const double* values() const override { return values_; }

private:
    Field field_;
    const double* values_ = nullptr;
};

} // namespace evictlab::columns
