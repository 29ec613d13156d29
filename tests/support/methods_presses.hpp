// The methods of the fixtures as scorers, and the rules by which scores and kept sets are compared.
// SPDX-License-Identifier: MIT
#pragma once
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "framework/scoring/scorer_run.hpp"
#include "tests/support/methods_fixture.hpp"

namespace evictlab::test {

struct Press {
    const char* name;       ///< in the fixtures
    const char* scorer;     ///< as typed
    bool by_budget = false; ///< the fixture has one score for each budget
    bool has_scores = true;
};
std::span<const Press> kvpress_presses();

/// A column's values [kv_heads][tokens].
using ColumnSource = std::function<std::vector<double>(const MethodsLayer&, const std::string& column)>;
/// reference_column(), each computed once.
std::vector<double> known_reference_column(const MethodsLayer& layer, const std::string& column);
/// The product's own column, from queries, keys and values.
std::vector<double> product_column(const MethodsLayer& layer, const std::string& column);

/// The product's ||W_o[h] v_j||_1, [query_heads][tokens], from the output projection.
std::vector<float> product_wov_norms(const MethodsLayer& layer);

struct Selected {
    std::vector<double> scores;                 ///< [kv_heads][tokens]
    std::vector<std::vector<std::size_t>> kept; ///< [kv_heads] positions, ascending
};
/// What a scorer keeps of a fixture's layer.
Selected select(const std::string& scorer, const MethodsLayer& layer, double removed_fraction,
                const ColumnSource& columns);

/// What a scorer that looks at the whole model keeps of layers 0, 14 and 29, as if the model had no others.
std::vector<Selected> select_of_model(const std::string& scorer, double removed_fraction, const ColumnSource& columns);
/// What a scorer with a threshold has cached in the end, when all tokens behind the prompt are decoded.
std::vector<std::vector<std::size_t>> kept_by_decoding(const std::string& scorer, const MethodsLayer& layer,
                                                       std::size_t prompt, std::size_t interval);

/// What a scorer with budgets over the whole model tells of the layer beside its scores.
std::vector<double> facts_of(const std::string& scorer, const MethodsLayer& layer, double removed_fraction,
                             const ColumnSource& columns);

/// The largest relative difference; infinite where only one of both is the largest float.
double worst_difference(std::span<const double> scores, std::span<const float> expected);

/// Empty where the kept positions are as expected, or differ only where scores tie at the boundary and `gap` is at most
/// 1e-5. Else what is wrong.
std::string difference(const std::vector<std::size_t>& kept, const std::vector<std::size_t>& expected,
                       std::span<const double> scores, double gap);

} // namespace evictlab::test
