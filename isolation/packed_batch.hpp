// Batches as bytes: a record, then its columns and tensors, each at a cache line. Places are bytes from the beginning
// of the input, so that both processes find them wherever it is mapped. SPDX-License-Identifier: MIT
#pragma once
#include <evictlab/scorer.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace evictlab::isolation {

struct PackedColumn {
    std::uint64_t at;      ///< of the values
    std::uint64_t in_rows; ///< whether that is a place in the pool's rows, else in the input
    std::int64_t stride;   ///< evl_batch::head_stride
};

struct PackedTensors {
    evl_tensors tensors;                                         ///< its pointers mean nothing
    std::uint64_t q, k, v, rope_inv_freq, wov_norm, window_attn; ///< places; 0: null
};

struct PackedTable {
    evl_table table;                     ///< its pointers mean nothing
    std::uint64_t layer_numbers, values; ///< places
};

/// Small, as thousands of them pass from processor to processor in a second.
struct PackedBatch {
    std::uint32_t layer, num_layers, heads, tokens;
    std::uint64_t sequence_len, kept;
    double removed_fraction;
    std::uint64_t columns;             ///< how many PackedColumn follow the record
    std::uint64_t tensors;             ///< of PackedTensors; 0: null
    std::uint64_t table_count, tables; ///< and the place of so many PackedTable
    std::uint64_t scores_in;           ///< of head_budgets: where the scores lie in the input; else 0
    std::uint64_t scores_out; ///< bytes from the beginning of the output; of head_budgets: where the budgets go
    std::uint64_t next;       ///< place of the next record
};

/// Bytes behind the scores of a batch in the output, and before the first, that a plugin has no business in.
inline constexpr std::size_t output_margin = 64;

class RowMemory;
class SharedMemory;

/// Writes batches one behind the other. For one thread; refers to the memory, which must outlive it.
class BatchWriter {
public:
    /// The first record will be at `begin`. Columns go into `rows` as far as there is room, else into the input.
    BatchWriter(SharedMemory& input, SharedMemory& output, std::size_t begin, RowMemory* rows = nullptr)
        : input_(input), output_(output), begin_(begin), rows_(rows) {
        clear();
    }
    /// `columns`: how many pointers the batch has. Gives the place of its scores in the output. Throws Error where the
    /// memory ends.
    std::size_t add(const evl_batch& batch, std::size_t columns, const double* scores = nullptr);
    std::size_t count() const { return count_; }
    std::size_t end() const { return end_; }               ///< of what was written
    std::size_t output_end() const { return output_end_; } ///< of what will be, to the output
    void clear();

private:
    std::size_t take(std::size_t bytes);
    void add_column(PackedColumn& column, const double* values, std::size_t heads, std::ptrdiff_t stride,
                    std::size_t n);
    std::size_t add_tensors(const evl_tensors& tensors);
    std::size_t add_tables(const evl_batch& batch);
    template <class T>
    std::size_t copy(const T* values, std::size_t heads, std::ptrdiff_t stride, std::size_t n);

    SharedMemory &input_, &output_;
    std::size_t begin_;
    RowMemory* rows_;
    std::size_t end_ = 0, output_end_ = 0, count_ = 0;
};

/// A batch read where it lies, in memory that must outlive it. For one thread; batch() is valid until the next read().
class BatchReader {
public:
    BatchReader(const std::byte* input, const std::byte* rows) : input_(input), rows_(rows) {}
    /// Makes batch() the one whose record is at `place`; gives the place of the next.
    std::size_t read(std::size_t place);
    const evl_batch& batch() const { return batch_; }
    const PackedBatch& packed() const { return *packed_; }
    const double* scores_in() const { return at<double>(packed_->scores_in); }
    std::size_t score_count() const { return std::size_t{batch_.heads} * batch_.tokens; }

private:
    template <class T>
    const T* at(std::uint64_t place) const {
        return place == 0 ? nullptr : reinterpret_cast<const T*>(input_ + place);
    }
    void read_tensors(const PackedTensors& packed);
    void read_tables(const PackedTable* packed, std::size_t count);
    const std::byte *input_, *rows_;
    const PackedBatch* packed_ = nullptr;
    evl_batch batch_{};
    evl_tensors tensors_{};
    std::vector<evl_table> tables_;
    std::vector<const evl_table*> table_pointers_;
    std::vector<const double*> columns_;
    std::vector<std::ptrdiff_t> strides_;
};

} // namespace evictlab::isolation
