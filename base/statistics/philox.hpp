// Counter-based randomness (Philox4x32-10 of Random123): a stream is a place in the run, not a position in a sequence,
// so neither threads nor resuming change what is drawn. No std:: distributions, whose bits differ between libraries;
// and no two draws in one expression, whose order differs between compilers. SPDX-License-Identifier: MIT
#pragma once
#include <Random123/philox.h>

#include <cstddef>
#include <cstdint>
#include <span>

namespace evictlab {

/// What a stream is for, so that two uses at one place of the run draw different numbers.
enum class Purpose : std::uint32_t { variation = 1, tuning_choice = 2, tuning = 3, bootstrap = 4, verdict_tuning = 5 };

/// One stream, keyed by (run seed, generation, slot, purpose). A value; not thread-safe.
class Rng {
public:
    Rng(std::uint64_t seed, std::uint32_t generation, std::uint32_t slot, Purpose purpose)
        : key_{{static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32)}},
          counter_{{0, generation, slot, static_cast<std::uint32_t>(purpose)}} {}

    std::uint32_t next() {
        if (used_ == 4) {
            words_ = r123::Philox4x32{}(counter_, key_);
            ++counter_[0];
            used_ = 0;
        }
        return words_[used_++];
    }

    /// In [0, 1), 53 bits.
    double uniform() {
        const std::uint64_t high = next();
        return static_cast<double>(((high << 32) | next()) >> 11) * 0x1p-53;
    }
    double uniform(double low, double high) { return low + (high - low) * uniform(); }
    bool chance(double probability) { return uniform() < probability; }

    /// In [0, n), n > 0 and below 2^32; without bias (Lemire).
    std::size_t below(std::size_t n) {
        const auto range = static_cast<std::uint32_t>(n);
        const std::uint32_t threshold = (0U - range) % range;
        std::uint64_t product = 0;
        do product = static_cast<std::uint64_t>(next()) * range;
        while (static_cast<std::uint32_t>(product) < threshold);
        return static_cast<std::size_t>(product >> 32);
    }
    template <class Range>
    const auto& any(const Range& range) {
        return range[below(std::size(range))];
    }

    /// Nearly standard normal: the sum of twelve uniforms, which needs no libm and so has the same bits everywhere.
    double normal() {
        double sum = -6;
        for (int i = 0; i < 12; ++i) sum += static_cast<double>(next()) * 0x1p-32;
        return sum;
    }

    /// An index drawn with these weights (non-negative, not all zero).
    std::size_t weighted(std::span<const double> weights) {
        double total = 0;
        for (const double weight : weights) total += weight;
        double left = uniform() * total;
        for (std::size_t i = 0; i + 1 < weights.size(); ++i) {
            if (left < weights[i]) return i;
            left -= weights[i];
        }
        return weights.size() - 1;
    }

private:
    r123::Philox4x32::key_type key_;
    r123::Philox4x32::ctr_type counter_;
    r123::Philox4x32::ctr_type words_{};
    unsigned used_ = 4;
};

} // namespace evictlab
