// Arrays that begin at a cache line, for kernels that load whole vectors.
// SPDX-License-Identifier: MIT
#pragma once
#include <cstddef>
#include <memory>
#include <new>
#include <vector>

namespace evictlab {

inline constexpr std::size_t cache_line = 64;

/// Every row and per-token array that the framework hands out may be read up to its length rounded up to this many
/// values; what lies behind the length is finite and means nothing. Kernels need no scalar tail.
inline constexpr std::size_t row_padding = 8;
constexpr std::size_t padded(std::size_t n) { return (n + row_padding - 1) / row_padding * row_padding; }

/// Values start uninitialised: whoever makes such a vector by its size fills it.
template <class T>
struct AlignedAllocator {
    using value_type = T;
    AlignedAllocator() = default;
    template <class U>
    AlignedAllocator(const AlignedAllocator<U>&) noexcept {}
    T* allocate(std::size_t n) {
        if (n > static_cast<std::size_t>(-1) / sizeof(T)) throw std::bad_array_new_length();
        return static_cast<T*>(::operator new (n * sizeof(T), std::align_val_t{cache_line}));
    }
    void deallocate(T* p, std::size_t) noexcept { ::operator delete (p, std::align_val_t{cache_line}); }
    template <class U>
    void construct(U* p) noexcept {
        ::new (static_cast<void*>(p)) U;
    }
    template <class U, class... A>
    void construct(U* p, A&&... a) {
        std::construct_at(p, std::forward<A>(a)...);
    }
    template <class U>
    bool operator==(const AlignedAllocator<U>&) const noexcept {
        return true;
    }
};

using AlignedFloats = std::vector<float, AlignedAllocator<float>>;

} // namespace evictlab
