// Time by the wall's clock and the processor's, and memory. SPDX-License-Identifier: MIT
#pragma once
#include <cstdint>
#include <span>
#include <vector>

namespace evictlab::engine {

/// Seconds; of the processor those of all the program's threads.
struct Spent {
    double wall = 0, cpu = 0;
    Spent& operator+=(const Spent& other);
};

class Stopwatch {
public:
    Stopwatch() : began_(now()) {}
    Spent spent() const;

private:
    static Spent now();
    Spent began_;
};

/// Of each clock by itself; zeros of none.
Spent median(std::span<const Spent> all);

std::uint64_t peak_memory(); ///< bytes that the program held at most so far, with what it read of its files

} // namespace evictlab::engine
