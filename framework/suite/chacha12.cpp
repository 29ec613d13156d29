// SPDX-License-Identifier: MIT
#include "framework/suite/chacha12.hpp"

#include <bit>
#include <utility>

#include "base/numeric/aligned.hpp"
#include "base/numeric/clones.hpp"

namespace evictlab {
namespace {

constexpr std::size_t block_words = 16;
constexpr std::size_t lanes = 8; // blocks that are made together, one a vector lane

using Lanes = std::uint32_t __attribute__((vector_size(lanes * sizeof(std::uint32_t))));

EVICTLAB_INLINE Lanes everywhere(std::uint32_t x) { return Lanes{x, x, x, x, x, x, x, x}; }

template <int Bits>
EVICTLAB_INLINE Lanes rotated(Lanes x) {
    return x << Bits | x >> (32 - Bits);
}

EVICTLAB_INLINE void quarter_round(Lanes& a, Lanes& b, Lanes& c, Lanes& d) {
    a += b;
    d = rotated<16>(d ^ a);
    c += d;
    b = rotated<12>(b ^ c);
    a += b;
    d = rotated<8>(d ^ a);
    c += d;
    b = rotated<7>(b ^ c);
}

/// `groups` times `lanes` blocks from block `first` on.
EVICTLAB_CLONES void make_blocks(const std::uint32_t* key, std::uint64_t first, std::size_t groups,
                                 std::uint32_t* out) {
    for (std::size_t group = 0; group < groups; ++group, first += lanes, out += lanes * block_words) {
        Lanes start[block_words] = {everywhere(0x61707865), everywhere(0x3320646e), everywhere(0x79622d32),
                                    everywhere(0x6b206574)};
        for (std::size_t w = 0; w < 8; ++w) start[4 + w] = everywhere(key[w]);
        for (std::size_t i = 0; i < lanes; ++i) {
            start[12][i] = static_cast<std::uint32_t>(first + i);
            start[13][i] = static_cast<std::uint32_t>((first + i) >> 32);
        }
        Lanes x[block_words];
        for (std::size_t w = 0; w < block_words; ++w) x[w] = start[w];
        for (int round = 0; round < 12; round += 2) {
            quarter_round(x[0], x[4], x[8], x[12]);
            quarter_round(x[1], x[5], x[9], x[13]);
            quarter_round(x[2], x[6], x[10], x[14]);
            quarter_round(x[3], x[7], x[11], x[15]);
            quarter_round(x[0], x[5], x[10], x[15]);
            quarter_round(x[1], x[6], x[11], x[12]);
            quarter_round(x[2], x[7], x[8], x[13]);
            quarter_round(x[3], x[4], x[9], x[14]);
        }
        std::uint32_t words[block_words][lanes];
        for (std::size_t w = 0; w < block_words; ++w) {
            const Lanes sum = x[w] + start[w];
            __builtin_memcpy(words[w], &sum, sizeof sum);
        }
        for (std::size_t i = 0; i < lanes; ++i)
            for (std::size_t w = 0; w < block_words; ++w) out[i * block_words + w] = words[w][i];
    }
}

/// (u64 >> 11) * 2^-53 without a 64-bit integer conversion, which few processors have in vector form: both halves
/// become doubles by planting them in the mantissa of 2^52 and 2^84; every step is exact.
EVICTLAB_INLINE double to_uniform(std::uint64_t low, std::uint64_t high) {
    const std::uint64_t v = (low | high << 32) >> 11;
    const double low_part = std::bit_cast<double>((v & 0xffffffff) | 0x4330000000000000) - 0x1p52;
    const double high_part = std::bit_cast<double>((v >> 32) | 0x4530000000000000) - 0x1p84;
    return (low_part + high_part) * 0x1p-53;
}

EVICTLAB_CLONES void convert(const std::uint32_t* words, std::size_t n, double* out) {
    for (std::size_t i = 0; i < n; ++i) out[i] = to_uniform(words[2 * i], words[2 * i + 1]);
}

} // namespace

ChaCha12::ChaCha12(std::uint64_t seed) {
    for (std::uint32_t& word : key_) {
        seed = seed * 6364136223846793005U + 11634580027462260723U;
        word = std::rotr(static_cast<std::uint32_t>(((seed >> 18) ^ seed) >> 27), static_cast<int>(seed >> 59));
    }
}

const std::uint32_t* ChaCha12::words(std::size_t count) {
    if (position_ < buffer_begin_ || position_ + count > buffer_begin_ + buffer_.size()) {
        constexpr std::size_t group_words = lanes * block_words;
        const std::uint64_t first_block = position_ / block_words;
        buffer_begin_ = first_block * block_words;
        const std::size_t groups = (position_ - buffer_begin_ + count + group_words - 1) / group_words;
        buffer_.resize(groups * group_words);
        make_blocks(key_.data(), first_block, groups, buffer_.data());
    }
    const std::uint32_t* at = buffer_.data() + (position_ - buffer_begin_);
    position_ += count;
    return at;
}

std::uint32_t ChaCha12::next_u32() { return *words(1); }

std::uint64_t ChaCha12::next_u64() {
    const std::uint32_t* pair = words(2);
    return pair[0] | std::uint64_t{pair[1]} << 32;
}

double ChaCha12::uniform() { return static_cast<double>(next_u64() >> 11) * 0x1p-53; }

std::uint32_t ChaCha12::below(std::uint32_t n) {
    const std::uint32_t zone = (n << std::countl_zero(n)) - 1;
    for (;;) {
        const std::uint64_t product = std::uint64_t{next_u32()} * n;
        if (static_cast<std::uint32_t>(product) <= zone) return static_cast<std::uint32_t>(product >> 32);
    }
}

void ChaCha12::shuffle(std::span<std::size_t> a) {
    for (std::size_t i = a.size(); i-- > 1;) std::swap(a[i], a[below(static_cast<std::uint32_t>(i + 1))]);
}

void ChaCha12::uniforms(double* out, std::size_t n) {
    convert(words(2 * n), n, out);
    for (std::size_t i = n; i < padded(n); ++i) out[i] = 0;
}

} // namespace evictlab
