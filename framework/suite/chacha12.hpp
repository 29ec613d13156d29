// The random numbers of the synthetic suites: ChaCha with 12 rounds, as docs/benchmark.md defines its key and draws.
// Searches do not use this; they have evolution/random.hpp.
// SPDX-License-Identifier: MIT
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace evictlab {

/// One generator's stream of 32-bit words, at a position that may be moved. Cheap to copy; not thread-safe.
class ChaCha12 {
public:
    explicit ChaCha12(std::uint64_t seed);

    std::uint32_t next_u32();
    std::uint64_t next_u64();               ///< two words, the low one first
    double uniform();                       ///< in [0, 1), 53 bits
    std::uint32_t below(std::uint32_t n);   ///< in 0..n-1, without bias; n > 0
    void shuffle(std::span<std::size_t> a); ///< Fisher-Yates from the back
    /// n draws of uniform() at once; `out` is written up to padded(n).
    void uniforms(double* out, std::size_t n);

    /// Words drawn so far, and going to any other place in constant time.
    std::uint64_t position() const { return position_; }
    void seek(std::uint64_t word) { position_ = word; }

private:
    const std::uint32_t* words(std::size_t count); ///< the next `count`, contiguous; moves on

    std::array<std::uint32_t, 8> key_{};
    std::uint64_t position_ = 0;
    std::uint64_t buffer_begin_ = 0; ///< position of buffer_[0]
    std::vector<std::uint32_t> buffer_;
};

} // namespace evictlab
