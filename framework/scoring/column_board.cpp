// SPDX-License-Identifier: MIT
#include "framework/scoring/column_board.hpp"

#include <algorithm>
#include <optional>
#include <set>

#include "framework/scoring/stopwatch.hpp"

namespace evictlab {

ColumnBoard::ColumnBoard(std::span<const ColumnId> ids, std::size_t heads, std::size_t tokens)
    : ColumnBoard(heads, padded(tokens)) {
    add_columns(ids);
    for (Column& column : columns_)
        for (std::size_t head = 0; column.derived.empty() && head < heads_; ++head)
            column.by_head.push_back(columns::make(column.id, tokens));
}

ColumnBoard ColumnBoard::subset(std::span<const ColumnId> ids) const {
    ColumnBoard board(heads_, stride_);
    board.tokens_ = tokens_;
    board.tokens_of_ = tokens_of_;
    board.add_columns(ids);
    for (Column& column : board.columns_)
        for (const auto& state : std::ranges::find(columns_, column.id, &Column::id)->by_head)
            column.by_head.push_back(state->clone());
    return board;
}

/// The columns without their states; bases of derived ones follow those asked for.
void ColumnBoard::add_columns(std::span<const ColumnId> ids) {
    for (const ColumnId id : ids) add(id);
    for (std::size_t i = 0; i < columns_.size(); ++i)
        if (const auto base = columns::base(columns_[i].id)) {
            const std::size_t at = add(*base);
            columns_[i].base = at;
            columns_[i].derived.resize(heads_ * stride_);
        }
}

std::size_t ColumnBoard::add(ColumnId id) {
    const auto at = std::ranges::find(columns_, id, &Column::id);
    if (at != columns_.end()) return static_cast<std::size_t>(at - columns_.begin());
    Column& column = columns_.emplace_back();
    column.id = id;
    column.kind = columns::kind(id);
    column.history = columns::history(id);
    return columns_.size() - 1;
}

void ColumnBoard::update(std::size_t head, const RowContext& row, std::size_t rows_left) {
    tokens_ = tokens_of_[head] = row.tokens;
    std::optional<Stopwatch> watch;
    if (timed_) watch.emplace();
    for (Column& column : columns_) {
        column.fresh = false;
        if (column.by_head.empty() || rows_left > column.history) continue;
        column.by_head[head]->update(row);
        if (watch) column.seconds += watch->lap();
    }
}

void ColumnBoard::finish() {
    Stopwatch watch;
    for (auto column = columns_.rbegin(); column != columns_.rend(); ++column) { // bases stand behind
        for (std::size_t head = 0; head < heads_; ++head) values(*column, head);
        column->seconds += watch.lap();
    }
}

double ColumnBoard::seconds(std::span<const ColumnId> ids) const {
    std::set<ColumnId> counted;
    double sum = 0;
    for (const ColumnId id : ids)
        for (auto at = std::optional(id); at && counted.insert(*at).second; at = columns::base(*at))
            sum += std::ranges::find(columns_, *at, &Column::id)->seconds;
    return sum;
}

const double* ColumnBoard::values(Column& column, std::size_t head) {
    if (!column.by_head.empty()) {
        const double* all = column.by_head[head]->values();
        if (column.kind != ColumnKind::token || tokens_ == tokens_of_[head]) return all;
        column.newest.resize(heads_ * stride_);
        double* newest = column.newest.data() + head * stride_;
        std::copy_n(all + (tokens_of_[head] - tokens_), tokens_, newest);
        return newest;
    }
    if (!column.fresh) derive(column);
    return column.derived.data() + head * stride_;
}

void ColumnBoard::read_newest(std::size_t tokens) {
    tokens_ = tokens;
    for (Column& column : columns_) column.fresh = false;
}

void ColumnBoard::derive(Column& column) {
    std::vector<double> base(heads_ * tokens_);
    Column& from = columns_[column.base];
    for (std::size_t head = 0; head < heads_; ++head) {
        const double* source = values(from, head);
        double* to = base.data() + head * tokens_;
        if (from.kind == ColumnKind::token)
            std::copy(source, source + tokens_, to);
        else
            std::fill(to, to + tokens_, *source);
    }
    columns::info(column.id).derive(base.data(), tokens_, heads_, tokens_, column.derived.data(), stride_);
    column.fresh = true;
}

formula::ColumnView ColumnBoard::view(std::size_t index, std::size_t head) {
    Column& column = columns_[index];
    return {values(column, head), column.kind != ColumnKind::token};
}

const double* ColumnBoard::filled(std::size_t index, std::ptrdiff_t& stride) {
    Column& column = columns_[index];
    stride = heads_ == 1 ? 0 : static_cast<std::ptrdiff_t>(tokens_);
    if (column.kind == ColumnKind::token && heads_ == 1) return values(column, 0);
    column.filled.resize(heads_ * stride_);
    for (std::size_t head = 0; head < heads_; ++head) {
        const double* source = values(column, head);
        double* out = column.filled.data() + head * tokens_;
        if (column.kind == ColumnKind::token)
            std::copy(source, source + tokens_, out);
        else
            std::fill(out, out + tokens_, *source);
    }
    return column.filled.data();
}

void ColumnBoard::keep(std::size_t head, std::span<const std::uint32_t> slots) {
    for (Column& column : columns_) {
        column.fresh = false;
        if (!column.by_head.empty()) column.by_head[head]->keep(slots);
    }
}

ColumnDemand demand_of(std::span<const ColumnId> ids) {
    ColumnDemand demand;
    for (const ColumnId id : ids) {
        const std::size_t history = columns::history(id);
        demand.history = std::max(demand.history, history);
        demand.queries = std::max(demand.queries, columns::queries(id));
        switch (columns::needs(id)) {
        case ColumnNeeds::rows:
            break;
        case ColumnNeeds::layer_rows:
            demand.layer_history = std::max(demand.layer_history, history);
            break;
        case ColumnNeeds::query_rows:
            demand.query_rows_history = std::max(demand.query_rows_history, history);
            break;
        case ColumnNeeds::wov_norm:
            demand.wov_norm = true;
            [[fallthrough]];
        case ColumnNeeds::wo_gram:
        case ColumnNeeds::reconstruction:
        case ColumnNeeds::tensors:
        case ColumnNeeds::calibration:
            demand.tensors = true;
            break;
        }
    }
    return demand;
}

} // namespace evictlab
