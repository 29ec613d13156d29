// SPDX-License-Identifier: MIT
#include "isolation/row_memory.hpp"

#include <algorithm>
#include <cstring>
#include <functional>
#include <thread>

#include "framework/aligned.hpp"

namespace evictlab::isolation {
namespace {

std::size_t slot_count() { return std::size_t{2} * std::max(4u, std::thread::hardware_concurrency()); }

} // namespace

RowSlots::RowSlots()
    : memory_("evictlab-rows", slot_count() * slot_size, SharedMemory::Access::read_only), free_(slot_count()) {
    for (std::size_t slot = 0; slot < free_.size(); ++slot) free_[slot] = slot;
}

std::optional<std::size_t> RowSlots::take() {
    const std::lock_guard lock(mutex_);
    if (free_.empty()) return std::nullopt;
    const std::size_t slot = free_.back();
    free_.pop_back();
    return slot;
}

void RowSlots::give_back(std::size_t slot) {
    const std::lock_guard lock(mutex_);
    free_.push_back(slot);
}

std::shared_ptr<RowMemory> RowMemory::make(std::shared_ptr<RowSlots> slots) {
    const auto slot = slots->take();
    if (!slot) return nullptr;
    return std::shared_ptr<RowMemory>(new RowMemory(std::move(slots), *slot));
}

RowMemory::RowMemory(std::shared_ptr<RowSlots> slots, std::size_t slot) : slots_(std::move(slots)), slot_(slot) {}

RowMemory::~RowMemory() { slots_->give_back(slot_); }

void RowMemory::clear() {
    known_.clear();
    used_ = used_by_held_;
}

void RowMemory::hold(std::span<const double> values) {
    const auto place = take(values.size_bytes());
    if (!place) return;
    std::memcpy(slots_->memory().data() + *place, values.data(), values.size_bytes());
    held_.push_back({values, *place});
    used_by_held_ = used_;
}

std::optional<std::size_t> RowMemory::take(std::size_t bytes) {
    if (bytes > RowSlots::slot_size - used_) return std::nullopt;
    const std::size_t place = slot_ * RowSlots::slot_size + used_;
    used_ = std::min(RowSlots::slot_size, (used_ + bytes + cache_line - 1) / cache_line * cache_line);
    return place;
}

std::optional<std::size_t> RowMemory::place_in_held(const double* values, std::size_t count) const {
    for (const Held& held : held_)
        if (std::greater_equal<>()(values, held.values.data()) &&
            std::less_equal<>()(values + count, held.values.data() + held.values.size()))
            return held.place + static_cast<std::size_t>(values - held.values.data()) * sizeof(double);
    return std::nullopt;
}

std::optional<std::size_t> RowMemory::place_of(const double* values, std::size_t heads, std::ptrdiff_t stride,
                                               std::size_t n) {
    for (const Known& known : known_)
        if (known.values == values && known.stride == stride) return known.place;
    const std::size_t copies = stride == 0 ? 1 : heads;
    const std::size_t count = (copies - 1) * static_cast<std::size_t>(stride) + n, bytes = count * sizeof(double);
    if (const auto held = place_in_held(values, count)) return held;
    const auto place = take(bytes);
    if (!place) return std::nullopt;
    std::byte* const to = slots_->memory().data() + *place;
    if (stride == 0 || static_cast<std::size_t>(stride) == n)
        std::memcpy(to, values, bytes);
    else
        for (std::size_t h = 0; h < copies; ++h) {
            const std::size_t step = h * static_cast<std::size_t>(stride);
            std::memcpy(to + step * sizeof(double), values + step, n * sizeof(double));
        }
    known_.push_back({values, stride, *place});
    return place;
}

} // namespace evictlab::isolation
