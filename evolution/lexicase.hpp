// Epsilon-lexicase selection of parents (La Cava, Helmuth, Spector and Moore, "A probabilistic and multi-objective
// analysis of lexicase selection and epsilon-lexicase selection", 2019; the semi-dynamic form): the cases come in
// random order, and at each only those stay that are about as good as the best that is left, so that a formula that is
// best on few documents breeds even where its mean is poor. SPDX-License-Identifier: MIT
#pragma once
#include <span>
#include <vector>

#include "base/statistics/philox.hpp"
#include "evolution/population.hpp"

namespace evictlab::evolution {

/// Cases are pairs of document and retention; "about" is the median absolute deviation of the pool's errors in a case.
/// Immutable once made; safe to share between threads.
class Lexicase {
public:
    /// Members whose train errors by document are known, as many documents each; at least one member.
    explicit Lexicase(std::span<const Member* const> pool);
    /// An index into the pool.
    std::size_t choose(Rng& rng) const;

private:
    std::size_t members_, cases_;
    std::vector<double> errors_;  ///< [case][member]
    std::vector<double> epsilon_; ///< [case]
};

} // namespace evictlab::evolution
