// SPDX-License-Identifier: MIT
#include "framework/random/chacha12.hpp"

#include <bit>
#include <utility>

#include "framework/clones.hpp"
#include "framework/suite/trace.hpp"

namespace evictlab {
namespace {

constexpr std::size_t block_words = 16;
constexpr std::size_t lanes = 8; // blocks that are made together, one a vector lane

using State = std::uint32_t[block_words][lanes];

EVICTLAB_INLINE void quarter_round(State& x, std::size_t a, std::size_t b, std::size_t c, std::size_t d) {
    for (std::size_t i = 0; i < lanes; ++i) x[a][i] += x[b][i];
    for (std::size_t i = 0; i < lanes; ++i) x[d][i] = std::rotl(x[d][i] ^ x[a][i], 16);
    for (std::size_t i = 0; i < lanes; ++i) x[c][i] += x[d][i];
    for (std::size_t i = 0; i < lanes; ++i) x[b][i] = std::rotl(x[b][i] ^ x[c][i], 12);
    for (std::size_t i = 0; i < lanes; ++i) x[a][i] += x[b][i];
    for (std::size_t i = 0; i < lanes; ++i) x[d][i] = std::rotl(x[d][i] ^ x[a][i], 8);
    for (std::size_t i = 0; i < lanes; ++i) x[c][i] += x[d][i];
    for (std::size_t i = 0; i < lanes; ++i) x[b][i] = std::rotl(x[b][i] ^ x[c][i], 7);
}

/// `groups` times `lanes` blocks from block `first` on.
EVICTLAB_CLONES void make_blocks(const std::uint32_t* key, std::uint64_t first, std::size_t groups,
                                 std::uint32_t* out) {
    for (std::size_t group = 0; group < groups; ++group, first += lanes, out += lanes * block_words) {
        State start{};
        constexpr std::uint32_t constants[4] = {0x61707865, 0x3320646e, 0x79622d32, 0x6b206574};
        for (std::size_t i = 0; i < lanes; ++i) {
            for (std::size_t w = 0; w < 4; ++w) start[w][i] = constants[w];
            for (std::size_t w = 0; w < 8; ++w) start[4 + w][i] = key[w];
            start[12][i] = static_cast<std::uint32_t>(first + i);
            start[13][i] = static_cast<std::uint32_t>((first + i) >> 32);
        }
        State x;
        for (std::size_t w = 0; w < block_words; ++w)
            for (std::size_t i = 0; i < lanes; ++i) x[w][i] = start[w][i];
        for (int round = 0; round < 12; round += 2) {
            quarter_round(x, 0, 4, 8, 12);
            quarter_round(x, 1, 5, 9, 13);
            quarter_round(x, 2, 6, 10, 14);
            quarter_round(x, 3, 7, 11, 15);
            quarter_round(x, 0, 5, 10, 15);
            quarter_round(x, 1, 6, 11, 12);
            quarter_round(x, 2, 7, 8, 13);
            quarter_round(x, 3, 4, 9, 14);
        }
        for (std::size_t w = 0; w < block_words; ++w)
            for (std::size_t i = 0; i < lanes; ++i) x[w][i] += start[w][i];
        for (std::size_t i = 0; i < lanes; ++i)
            for (std::size_t w = 0; w < block_words; ++w) out[i * block_words + w] = x[w][i];
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
