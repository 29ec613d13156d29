// Columns that the workers of one thread all read: copied once for all of them. One piece of memory for all threads of
// a pool, because a worker must have it from its start; each thread takes pieces of it.
// SPDX-License-Identifier: MIT
#pragma once
#include <cstddef>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <vector>

#include "framework/plugin/plugin.hpp"
#include "isolation/shared_memory.hpp"

namespace evictlab::isolation {

/// Gives out pieces without gaps, so that the memory is no longer than what was once in use. Thread-safe.
class RowStore {
public:
    struct Piece {
        std::size_t place, size; ///< bytes
    };
    RowStore();
    std::optional<Piece> take(std::size_t bytes); ///< of that size at least; nothing where there is no room
    void give_back(const Piece& piece);
    const SharedMemory& memory() const { return memory_; }

private:
    SharedMemory memory_;
    std::mutex mutex_;
    std::map<std::size_t, std::size_t> free_; ///< sizes by place; no two of them touch
    std::size_t end_ = 0;                     ///< of all pieces
};

/// The pieces of one thread.
class RowMemory final : public SharedRows {
public:
    static std::shared_ptr<RowMemory> make(std::shared_ptr<RowStore> store);
    ~RowMemory() override;

    void hold(std::span<const double> values) override;
    void next_row() override { known_.clear(); }
    void clear() override;
    /// Where the column lies, bytes from the beginning of the memory: copied there if this row has not had it yet. As
    /// evl_batch has columns. Nothing where there is no room.
    std::optional<std::size_t> place_of(const double* values, std::size_t heads, std::ptrdiff_t stride, std::size_t n);
    const RowStore& store() const { return *store_; }

private:
    struct Known {
        const double* values;
        std::ptrdiff_t stride;
        std::size_t place;
    };
    struct Held {
        std::span<const double> values;
        std::size_t place;
    };
    struct End {
        std::size_t piece, used; ///< bytes of that piece; those before it are full
    };
    explicit RowMemory(std::shared_ptr<RowStore> store);
    std::optional<std::size_t> take(std::size_t bytes);
    std::optional<std::size_t> place_in_held(const double* values, std::size_t count) const;

    std::shared_ptr<RowStore> store_;
    std::vector<RowStore::Piece> pieces_;
    End end_{0, 0}, end_of_held_{0, 0};
    std::vector<Held> held_;
    std::vector<Known> known_; ///< of this row
};

} // namespace evictlab::isolation
