// One pass over the rows of one layer: reads each row once and keeps the asked-for columns up to date.
// SPDX-License-Identifier: MIT
#pragma once
#include <memory>
#include <span>
#include <vector>

#include "framework/columns/column.hpp"
#include "framework/formula/program.hpp"
#include "framework/suite/trace.hpp"

namespace evictlab {

/// Queries from here on are judged (docs/benchmark.md section 4).
constexpr std::size_t first_judged_query(std::size_t seq_len) { return seq_len / 4; }

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
    /// Column `index` of those asked for; uniform where its kind is.
    formula::ColumnView view(std::size_t index, std::size_t head) const;
    /// The same as a full array [heads][tokens] with `stride` between heads, as plugins get it.
    const double* filled(std::size_t index, std::ptrdiff_t& stride);

private:
    struct Column {
        ColumnKind kind;
        std::vector<std::unique_ptr<ColumnState>> by_head;
        std::vector<double> filled; ///< [heads][seq_len], made when asked for
    };
    std::unique_ptr<LayerReader> reader_;
    std::vector<Column> columns_;
    std::size_t seq_len_, heads_, head_stride_;
    const double* attention_ = nullptr;
    RowContext row_;
    std::size_t next_query_ = 0;
};

} // namespace evictlab
