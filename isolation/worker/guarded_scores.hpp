// The buffer that a plugin writes its scores into: it ends where a page begins that nobody may touch, and every score
// in it is marked as unwritten.
// SPDX-License-Identifier: MIT
#pragma once
#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>

namespace evictlab::isolation {

/// A score that nobody wrote: a NaN that no arithmetic makes.
inline constexpr std::uint64_t unwritten = 0x7ff8'dead'beef'5c0fU;
inline void mark(std::span<double> scores) { std::ranges::fill(scores, std::bit_cast<double>(unwritten)); }
inline bool is_marked(double score) { return std::bit_cast<std::uint64_t>(score) == unwritten; }

class GuardedScores {
public:
    GuardedScores() = default;
    GuardedScores(const GuardedScores&) = delete;
    GuardedScores& operator=(const GuardedScores&) = delete;
    ~GuardedScores();

    /// Room for `count` scores, each marked, until the next call. Throws Error where there is no memory.
    std::span<double> take(std::size_t count);
    /// Whether what lies before the scores is as it was.
    bool begins_intact() const;

    bool guards_end(const void* address) const;   ///< in the pages behind the scores
    bool guards_begin(const void* address) const; ///< in those before them

private:
    std::byte* pages_ = nullptr;
    std::size_t room_ = 0; ///< between the guards
    double* scores_ = nullptr;
};

} // namespace evictlab::isolation
