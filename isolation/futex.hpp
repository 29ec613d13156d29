// Waiting for a word of shared memory to change. std::atomic::wait is for the threads of one process.
// SPDX-License-Identifier: MIT
#pragma once
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <climits>
#include <cstdint>
#include <ctime>

namespace evictlab::isolation {

using FutexWord = std::atomic<std::uint32_t>;
static_assert(FutexWord::is_always_lock_free && sizeof(FutexWord) == sizeof(std::uint32_t));

/// Returns once the word is another than `value`, at the latest after `patience`, or for no reason at all.
inline void wait_while_equal(FutexWord& word, std::uint32_t value, std::chrono::nanoseconds patience) {
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(patience);
    const timespec time{static_cast<time_t>(seconds.count()), static_cast<long>((patience - seconds).count())};
    ::syscall(SYS_futex, &word, FUTEX_WAIT, value, &time, nullptr, 0);
}

inline void wake_all(FutexWord& word) { ::syscall(SYS_futex, &word, FUTEX_WAKE, INT_MAX, nullptr, nullptr, 0); }

} // namespace evictlab::isolation
