// The columns of all heads of one layer, kept up to date row by row and handed out as scorers want them.
// SPDX-License-Identifier: MIT
#pragma once
#include <memory>
#include <span>
#include <vector>

#include "framework/columns/column.hpp"
#include "framework/formula/program.hpp"

namespace evictlab {

/// Not thread-safe: one a task. Pointers hold until the next call that is not const to the reader's eye.
class ColumnBoard {
public:
    /// `tokens` is the most that will be cached.
    ColumnBoard(std::span<const ColumnId> ids, std::size_t heads, std::size_t tokens);

    /// Feeds a head's row. `rows_left` counts this row and those that will follow before columns are read: columns that
    /// do not look so far back are spared it.
    void update(std::size_t head, const RowContext& row, std::size_t rows_left = 1);
    /// Column `index` of those asked for; uniform where its kind is.
    formula::ColumnView view(std::size_t index, std::size_t head);
    /// The same as a full array [heads][tokens] with `stride` between heads, as plugins get it.
    const double* filled(std::size_t index, std::ptrdiff_t& stride);
    /// Forgets all tokens of a head but those in `slots`, ascending. Where heads are left with different numbers,
    /// read_newest() says what is read.
    void keep(std::size_t head, std::span<const std::uint32_t> slots);
    std::size_t tokens() const { return tokens_; } ///< of the last row, or as many as read_newest() says
    /// Until the next row, columns are those of so many newest tokens of each head alone, derived ones likewise.
    void read_newest(std::size_t tokens);
    /// From now on notes how long each column takes.
    void measure_time() { timed_ = true; }
    /// Computes what is computed when a column is first read, so that it counts as the column's and not its reader's.
    void finish();
    /// How long these columns took so far, with those that they are made of, each once.
    double seconds(std::span<const ColumnId> ids) const;
    /// A board of some of these columns, in the order of `ids`, that has seen the same rows.
    ColumnBoard subset(std::span<const ColumnId> ids) const;

private:
    struct Column {
        ColumnId id = 0;
        ColumnKind kind = ColumnKind::token;
        std::size_t history = 0;
        std::vector<std::unique_ptr<ColumnState>> by_head; ///< empty for a derived column
        std::size_t base = 0;                              ///< index of a derived column's base
        bool fresh = false;                                ///< `derived` holds the last row's values
        std::vector<double> derived;                       ///< [heads][stride_]
        std::vector<double> filled;                        ///< [heads][tokens], made when asked for
        std::vector<double> newest;                        ///< [heads][stride_], where fewer than all are read
        double seconds = 0;
    };
    ColumnBoard(std::size_t heads, std::size_t stride) : heads_(heads), stride_(stride), tokens_of_(heads) {}
    void add_columns(std::span<const ColumnId> ids);
    std::size_t add(ColumnId id);
    const double* values(Column& column, std::size_t head);
    void derive(Column& column);

    std::size_t heads_, stride_, tokens_ = 0;
    std::vector<std::size_t> tokens_of_; ///< [head], of its last row
    bool timed_ = false;
    std::vector<Column> columns_; ///< those asked for, then bases of derived ones
};

/// The latest rows that columns need before they are read, and what they need beyond the KV head's own rows.
struct ColumnDemand {
    std::size_t history = 1;
    std::size_t layer_history = 0;      ///< of columns that need RowContext::layer_attention; 0 where none does
    std::size_t query_rows_history = 0; ///< likewise of RowContext::query_attention
    bool tensors = false, wov_norm = false;
    std::size_t queries = 0; ///< the latest that the columns follow from
};
ColumnDemand demand_of(std::span<const ColumnId> ids);

} // namespace evictlab
