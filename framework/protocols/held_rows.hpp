// Rows of a layer that wait for their scores, while those of many rows are gathered.
// SPDX-License-Identifier: MIT
#pragma once
#include <cstddef>
#include <span>
#include <vector>

namespace evictlab {

/// A row of attention as it is judged. Head h's attention starts at mass + h * mass_stride, readable to padded(tokens).
struct JudgedRow {
    std::size_t query = 0, tokens = 0;
    std::span<const std::size_t> kept; ///< [retention]
    const double* mass = nullptr;
    std::size_t mass_stride = 0;
};

/// Copies of rows. Keeps its memory, so that a thread that judges layer after layer touches new pages once.
class HeldRows {
public:
    void add(const JudgedRow& row, std::size_t heads);
    std::size_t size() const { return rows_.size(); }
    /// Until the next add() or clear().
    JudgedRow operator[](std::size_t index) const;
    /// Enough to be scored at one go: more would only leave the processor's cache.
    bool full() const { return rows_.size() == most_rows || mass_.size() >= most_values; }
    void clear();

private:
    static constexpr std::size_t most_rows = 256, most_values = 64 * 1024;
    struct Row {
        std::size_t query, tokens, kept_at, mass_at;
    };
    std::vector<Row> rows_;
    std::vector<std::size_t> kept_;
    std::vector<double> mass_;
};

} // namespace evictlab
