// Variation operators: each makes one formula out of one or two, and says in words why that might be better. The list
// is open: a new operator is one entry in the table of the file that it belongs to. SPDX-License-Identifier: MIT
#pragma once
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/statistics/philox.hpp"
#include "framework/formula/formula.hpp"

namespace evictlab::evolution {

/// Raised whenever an operator is added, removed or changed: a run made with other operators cannot be resumed to the
/// same bits, and is refused.
inline constexpr int operators_version = 2;

struct VariationContext {
    std::span<const ColumnId> columns; ///< that new subtrees may read
    std::size_t max_nodes = 0;         ///< what is larger is thrown away by the caller
};

struct Offspring {
    formula::Formula formula; ///< empty where the operator has nothing to work on
    std::string hypothesis;
};

enum class Mating : std::uint8_t {
    one,      ///< one parent
    two,      ///< two parents
    accepted, ///< two parents that passed the train gate
};

struct Operator {
    std::string_view name; ///< in candidates; never reused for something else
    std::string_view help; ///< one line for people
    Mating mating = Mating::one;
    double weight = 1; ///< how often it is drawn, in proportion to the others
    /// Pure: the same parents, stream and context give the same offspring. Safe to call from several threads.
    Offspring (*make)(std::span<const formula::Formula* const> parents, Rng& rng, const VariationContext& context);
};

/// All operators that breed, in the order in which they are drawn.
const std::vector<Operator>& operators();

/// A strategy that is tried once, at the start of generation 1 of every run.
struct OpeningStrategy {
    std::string_view name;
    std::string_view hypothesis;
    std::string_view formula;
    std::string_view seed_result; ///< what the seed printed for its strategy of this name
};
std::span<const OpeningStrategy> opening_strategies();

// The groups that operators() joins.
std::span<const Operator> structural_operators();
std::span<const Operator> constant_operators();
std::span<const Operator> seed_strategies();
std::span<const Operator> domain_strategies();
std::span<const Operator> alike_operators();

} // namespace evictlab::evolution
