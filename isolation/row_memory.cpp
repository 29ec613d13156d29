// SPDX-License-Identifier: MIT
#include "isolation/row_memory.hpp"

#include <algorithm>
#include <cstring>
#include <functional>
#include <thread>

#include "base/numeric/aligned.hpp"

namespace evictlab::isolation {
namespace {

constexpr std::size_t of_a_thread = std::size_t{1} << 30;  // bytes, at most
constexpr std::size_t piece_step = std::size_t{256} << 10; // of which sizes of pieces are multiples

std::size_t rows_of_all_threads() { return of_a_thread * 2 * std::max(4u, std::thread::hardware_concurrency()); }

} // namespace

RowStore::RowStore()
    : memory_("evictlab-rows", rows_of_all_threads(), SharedMemory::Access::read_only, SharedMemory::Length::grows) {}

std::optional<RowStore::Piece> RowStore::take(std::size_t bytes) {
    const std::size_t size = (std::max(bytes, std::size_t{1}) + piece_step - 1) / piece_step * piece_step;
    const std::lock_guard lock(mutex_);
    for (auto at = free_.begin(); at != free_.end(); ++at) {
        if (at->second < size) continue;
        const Piece found{at->first, size};
        const std::size_t left = at->second - size;
        free_.erase(at);
        if (left > 0) free_.emplace(found.place + size, left);
        return found;
    }
    if (size > memory_.size() - end_) return std::nullopt;
    memory_.reach(end_ + size);
    end_ += size;
    return Piece{end_ - size, size};
}

void RowStore::give_back(const Piece& piece) {
    const std::lock_guard lock(mutex_);
    auto at = free_.emplace(piece.place, piece.size).first;
    if (const auto next = std::next(at); next != free_.end() && at->first + at->second == next->first) {
        at->second += next->second;
        free_.erase(next);
    }
    if (at == free_.begin()) return;
    if (const auto before = std::prev(at); before->first + before->second == at->first) {
        before->second += at->second;
        free_.erase(at);
    }
}

std::shared_ptr<RowMemory> RowMemory::make(std::shared_ptr<RowStore> store) {
    return std::shared_ptr<RowMemory>(new RowMemory(std::move(store)));
}

RowMemory::RowMemory(std::shared_ptr<RowStore> store) : store_(std::move(store)) {}

RowMemory::~RowMemory() {
    for (const RowStore::Piece& piece : pieces_) store_->give_back(piece);
}

void RowMemory::clear() {
    known_.clear();
    end_ = end_of_held_;
}

void RowMemory::hold(std::span<const double> values) {
    const auto place = take(values.size_bytes());
    if (!place) return;
    std::memcpy(store_->memory().data() + *place, values.data(), values.size_bytes());
    held_.push_back({values, *place});
    end_of_held_ = end_;
}

std::optional<std::size_t> RowMemory::take(std::size_t bytes) {
    while (end_.piece < pieces_.size() && bytes > pieces_[end_.piece].size - end_.used) {
        if (end_.used > 0) {
            end_ = {end_.piece + 1, 0};
            continue;
        }
        store_->give_back(pieces_[end_.piece]); // nothing is in it, and layers become longer, not shorter
        pieces_.erase(pieces_.begin() + static_cast<std::ptrdiff_t>(end_.piece));
    }
    if (end_.piece == pieces_.size()) {
        const auto piece = store_->take(bytes);
        if (!piece) return std::nullopt;
        pieces_.push_back(*piece);
    }
    const RowStore::Piece& piece = pieces_[end_.piece];
    const std::size_t place = piece.place + end_.used;
    end_.used = std::min(piece.size, (end_.used + bytes + cache_line - 1) / cache_line * cache_line);
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
    std::byte* const to = store_->memory().data() + *place;
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
