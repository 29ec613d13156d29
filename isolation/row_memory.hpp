// Columns that the workers of one thread all read: copied once for all of them. One piece of memory for all threads of
// a pool, divided into slots, because a worker must have it from its start. SPDX-License-Identifier: MIT
#pragma once
#include <cstddef>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <vector>

#include "framework/plugin/plugin.hpp"
#include "isolation/shared_memory.hpp"

namespace evictlab::isolation {

/// Thread-safe.
class RowSlots {
public:
    RowSlots();
    std::optional<std::size_t> take(); ///< the number of a slot that nobody has; nothing where there is none
    void give_back(std::size_t slot);
    const SharedMemory& memory() const { return memory_; }
    static constexpr std::size_t slot_size = std::size_t{1} << 30; ///< bytes

private:
    SharedMemory memory_;
    std::mutex mutex_;
    std::vector<std::size_t> free_;
};

/// The slot of one thread.
class RowMemory final : public SharedRows {
public:
    /// Null where no slot is free.
    static std::shared_ptr<RowMemory> make(std::shared_ptr<RowSlots> slots);
    ~RowMemory() override;

    void hold(std::span<const double> values) override;
    void next_row() override { known_.clear(); }
    void clear() override;
    /// Where the column lies, bytes from the beginning of the memory: copied there if this row has not had it yet. As
    /// evl_batch has columns. Nothing where there is no room.
    std::optional<std::size_t> place_of(const double* values, std::size_t heads, std::ptrdiff_t stride, std::size_t n);
    const RowSlots& slots() const { return *slots_; }

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
    RowMemory(std::shared_ptr<RowSlots> slots, std::size_t slot);
    std::optional<std::size_t> take(std::size_t bytes);
    std::optional<std::size_t> place_in_held(const double* values, std::size_t count) const;

    std::shared_ptr<RowSlots> slots_;
    std::size_t slot_, used_ = 0, used_by_held_ = 0;
    std::vector<Held> held_;
    std::vector<Known> known_; ///< of this row
};

} // namespace evictlab::isolation
