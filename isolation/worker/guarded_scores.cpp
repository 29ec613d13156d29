// SPDX-License-Identifier: MIT
#include "isolation/worker/guarded_scores.hpp"

#include <sys/mman.h>

#include "base/error.hpp"

namespace evictlab::isolation {
namespace {

constexpr std::size_t guard = std::size_t{1} << 20;        // bytes on either side
constexpr std::size_t least_room = std::size_t{256} << 10; // bytes
constexpr std::size_t page = 4096, margin = 64;            // doubles before the scores that are looked at

} // namespace

GuardedScores::~GuardedScores() {
    if (pages_) ::munmap(pages_, room_ + 2 * guard);
}

std::span<double> GuardedScores::take(std::size_t count) {
    const std::size_t needed = (count + margin) * sizeof(double);
    if (needed > room_) {
        if (pages_) ::munmap(pages_, room_ + 2 * guard);
        pages_ = nullptr;
        room_ = std::max(least_room, (needed + needed / 2 + page - 1) / page * page);
        void* const made = ::mmap(nullptr, room_ + 2 * guard, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (made == MAP_FAILED) throw Error("no memory for the scores");
        pages_ = static_cast<std::byte*>(made);
        if (::mprotect(pages_ + guard, room_, PROT_READ | PROT_WRITE) != 0) throw Error("no memory for the scores");
    }
    scores_ = reinterpret_cast<double*>(pages_ + guard + room_) - count;
    mark({scores_ - margin, margin + count});
    return {scores_, count};
}

bool GuardedScores::begins_intact() const { return std::all_of(scores_ - margin, scores_, is_marked); }

bool GuardedScores::guards_end(const void* address) const {
    const auto* const at = static_cast<const std::byte*>(address);
    return pages_ && at >= pages_ + guard + room_ && at < pages_ + 2 * guard + room_;
}

bool GuardedScores::guards_begin(const void* address) const {
    const auto* const at = static_cast<const std::byte*>(address);
    return pages_ && at >= pages_ && at < pages_ + guard;
}

} // namespace evictlab::isolation
