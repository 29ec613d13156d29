// One function, several versions: the loader picks the one for the processor that it finds. Only plain loops that the
// compiler vectorises go under it; without fused operations every version gives the same bits.
// SPDX-License-Identifier: MIT
#pragma once

// g++ only: clang 14 compiles a function that was declared before without the attribute for the first target alone.
#if defined(__x86_64__) && defined(__linux__) && !defined(__clang__) && !defined(EVICTLAB_NO_CLONES)
#define EVICTLAB_CLONES __attribute__((target_clones("avx512f", "avx2", "default")))
#define EVICTLAB_SUPPORTS(feature) __builtin_cpu_supports(feature)
#else
#define EVICTLAB_CLONES
#define EVICTLAB_SUPPORTS(feature) false
#endif
/// A helper that must become part of each version of its callers.
#define EVICTLAB_INLINE [[gnu::always_inline]] inline

/// The size of a vector register in the version that the loader picks.
EVICTLAB_INLINE int vector_bytes() { return EVICTLAB_SUPPORTS("avx512f") ? 64 : EVICTLAB_SUPPORTS("avx2") ? 32 : 16; }
