// SPDX-License-Identifier: MIT
#pragma once
#include <tbb/global_control.h>
#include <tbb/task_arena.h>

#include <cstddef>

namespace evictlab {

/// Calls `work`, which divides itself by TBB, on that many threads; 0: on as many as TBB takes.
template <class Work>
void in_threads(int threads, const Work& work) {
    if (threads <= 0) return work();
    const tbb::global_control limit(tbb::global_control::max_allowed_parallelism, static_cast<std::size_t>(threads));
    tbb::task_arena(threads).execute(work);
}

} // namespace evictlab
