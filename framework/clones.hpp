// One function, several versions: the loader picks the one for the processor that it finds. Only plain loops that the
// compiler vectorises go under it; without fused operations every version gives the same bits.
// SPDX-License-Identifier: MIT
#pragma once

// g++ only: clang 14 compiles a function that was declared before without the attribute for the first target alone.
#if defined(__x86_64__) && defined(__linux__) && !defined(__clang__) && !defined(EVICTLAB_NO_CLONES)
#define EVICTLAB_CLONES __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define EVICTLAB_CLONES
#endif
/// A helper that must become part of each version of its callers.
#define EVICTLAB_INLINE [[gnu::always_inline]] inline
