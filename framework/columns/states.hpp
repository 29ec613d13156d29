// The shapes that most columns have, so that a column's file states its rule and nothing else.
// SPDX-License-Identifier: MIT
#pragma once
#include <algorithm>
#include <span>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "framework/columns/arguments.hpp"
#include "framework/columns/column.hpp"
#include "framework/columns/query_reader.hpp"

namespace evictlab::columns {

/// For columns that take no parameters in their name.
inline void require_no_arguments(std::string_view column, std::string_view arguments) {
    Arguments(column, arguments).end("");
}

/// For ColumnInfo::history of columns that look at the last row alone.
inline std::size_t last_query([[maybe_unused]] std::string_view arguments) { return 1; }

/// Moves the values of the kept slots to the front and sets the others to 0.
inline void keep_slots(std::span<double> values, std::span<const std::uint32_t> slots) {
    for (std::size_t i = 0; i < slots.size(); ++i) values[i] = values[slots[i]];
    std::fill(values.begin() + static_cast<std::ptrdiff_t>(slots.size()), values.end(), 0.0);
}

/// A state that is cloned by its copy constructor: `class Mine final : public Copyable<Mine>`.
template <class State>
class Copyable : public ColumnState {
public:
    std::unique_ptr<ColumnState> clone() const final {
        return std::make_unique<State>(static_cast<const State&>(*this));
    }
};

/// One value for a whole row or layer, from the row's context.
class UniformState final : public Copyable<UniformState> {
public:
    using Rule = double (*)(const RowContext&);
    explicit UniformState(Rule rule) : rule_(rule) {}
    void update(const RowContext& row) override { value_ = rule_(row); }
    const double* values() override { return &value_; }

private:
    Rule rule_;
    double value_ = 0;
};

/// Values a token that depend on its position alone.
class FixedState final : public Copyable<FixedState> {
public:
    using Rule = double (*)(std::size_t position);
    FixedState(std::size_t tokens, Rule rule) : rule_(rule), values_(padded(tokens)) {}
    void update(const RowContext& row) override {
        for (; known_ < row.tokens; ++known_) values_[known_] = rule_(static_cast<std::size_t>(row.position[known_]));
    }
    const double* values() override { return values_.data(); }
    void keep(std::span<const std::uint32_t> slots) override {
        keep_slots(values_, slots);
        known_ = slots.size();
    }

private:
    Rule rule_;
    std::size_t known_ = 0; ///< tokens whose value is there
    std::vector<double> values_;
};

/// A per-token array of the row itself, passed through.
class RowState final : public Copyable<RowState> {
public:
    using Field = const double* RowContext::*;
    explicit RowState(Field field) : field_(field) {}
    void update(const RowContext& row) override { values_ = row.*field_; }
    const double* values() override { return values_; }

private:
    Field field_;
    const double* values_ = nullptr;
};

/// A sum over all rows so far, by one of base/numeric/sums.hpp.
class RunningSum final : public Copyable<RunningSum> {
public:
    using Add = void (*)(const double* row, std::size_t n, double* sums);
    RunningSum(std::size_t tokens, Add add) : add_(add), sums_(padded(tokens)) {}
    void update(const RowContext& row) override { add_(row.attention, row.tokens, sums_.data()); }
    const double* values() override { return sums_.data(); }
    void keep(std::span<const std::uint32_t> slots) override { keep_slots(sums_, slots); }

private:
    Add add_;
    std::vector<double> sums_;
};

/// Computed by a rule, rule(row, out), from the queries, keys and values of a head whenever a row comes: `out` is
/// [row.tokens] and 0; row.tensors is not null. A rule that reads the latest queries alone says how many, by its own
/// latest_queries().
template <class Rule>
class TensorRule final : public Copyable<TensorRule<Rule>>, public QueryReader {
public:
    TensorRule(std::size_t tokens, Rule rule) : rule_(rule), values_(padded(tokens)) {}
    void update(const RowContext& row) override {
        std::fill(values_.begin(), values_.end(), 0.0);
        rule_(row, values_.data());
    }
    const double* values() override { return values_.data(); }
    std::size_t latest_queries() const override {
        if constexpr (requires { rule_.latest_queries(); })
            return rule_.latest_queries();
        else
            return all_history;
    }

private:
    Rule rule_;
    std::vector<double> values_;
};
using TensorState = TensorRule<void (*)(const RowContext& row, double* out)>; ///< of a rule without parameters

} // namespace evictlab::columns
