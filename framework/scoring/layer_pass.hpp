// One pass over the rows of one layer: reads each row once and keeps the asked-for columns up to date.
// SPDX-License-Identifier: MIT
#pragma once
#include <array>
#include <memory>
#include <span>
#include <vector>

#include "framework/scoring/column_board.hpp"
#include "framework/suite/trace.hpp"

namespace evictlab {

/// Queries from here on are judged (docs/benchmark.md).
constexpr std::size_t first_judged_query(std::size_t seq_len) { return seq_len / 4; }

/// The token positions 0, 1, ... and their ages, as rows point to them.
class Ages {
public:
    explicit Ages(std::size_t tokens);
    const double* position() const { return positions_.data(); }
    /// query - position for positions 0 .. query.
    const double* relative_pos(std::size_t query) const { return ages_.data() + (tokens_ - 1 - query); }
    std::array<std::span<const double>, 2> arrays() const { return {positions_, ages_}; } ///< that those point into

private:
    std::size_t tokens_;
    std::vector<double> positions_, ages_;
};

/// Not thread-safe: one a task. `columns` are computed for every head; pointers hold until the next advance().
class LayerPass {
public:
    LayerPass(const Trace& trace, std::size_t layer, std::span<const ColumnId> columns);

    /// Reads the next row; false after the last one.
    bool advance();
    std::size_t query() const { return row_.query; }
    std::size_t tokens() const { return row_.query + 1; }
    bool judged() const { return query() >= first_judged_query(seq_len_); }
    std::size_t layer() const { return row_.layer; }
    std::size_t num_layers() const { return row_.num_layers; }
    std::size_t heads() const { return heads_; }

    const double* attention(std::size_t head) const { return attention_ + head * head_stride_; }
    std::size_t head_stride() const { return head_stride_; } ///< of attention()
    ColumnBoard& columns() { return board_; }
    /// Arrays that columns point into and that stay as they are from row to row.
    std::vector<std::span<const double>> lasting_arrays() const;

private:
    std::unique_ptr<LayerReader> reader_;
    std::size_t seq_len_, heads_, head_stride_;
    Ages ages_;
    ColumnBoard board_;
    const double* attention_ = nullptr;
    RowContext row_;
    std::vector<double> layer_attention_; ///< of several heads
    std::size_t next_query_ = 0;
};

} // namespace evictlab
