// A hash over kept sets: formulas that keep the same tokens have equal hashes, however they are written.
// SPDX-License-Identifier: MIT
#pragma once
#include <cstdint>
#include <span>

namespace evictlab {

/// Of kept sets in a fixed order. 64 bits: two different series meet by chance in one of 10^19 pairs.
class KeptHash {
public:
    explicit KeptHash(std::uint64_t so_far = 0) : state_(so_far) {}
    void add(std::span<const std::uint32_t> kept) {
        mix(kept.size());
        for (const std::uint32_t position : kept) mix(position);
    }
    std::uint64_t value() const { return state_; }

private:
    void mix(std::uint64_t word) { // a step of SplitMix64
        state_ += word + 0x9e3779b97f4a7c15U;
        state_ = (state_ ^ (state_ >> 30)) * 0xbf58476d1ce4e5b9U;
        state_ = (state_ ^ (state_ >> 27)) * 0x94d049bb133111ebU;
        state_ ^= state_ >> 31;
    }
    std::uint64_t state_;
};

/// The `index`-th of `count` places spread evenly over `size` things; count <= size.
inline std::size_t spread_place(std::size_t index, std::size_t count, std::size_t size) {
    return (2 * index + 1) * size / (2 * count);
}

} // namespace evictlab
