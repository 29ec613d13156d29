// Building and taking apart formulas, in the terms in which strategies speak: operands, guards, the body behind the
// guards, and the terms that the body adds up.
// SPDX-License-Identifier: MIT
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "framework/formula/formula.hpp"

namespace evictlab::evolution {

using formula::Formula;
using formula::Op;

Formula constant(double value); ///< tidied
Formula column(ColumnId id);
Formula column(std::string_view name);
Formula apply(Op op, const Formula& operand);
Formula apply(Op op, const Formula& first, const Formula& second);
Formula apply(Op op, const Formula& first, const Formula& second, const Formula& third);

/// Four significant digits, so that formulas stay readable; finite and at most 1e9 in size.
double tidy(double value);

/// What changes of a constant are measured by: its absolute value; of 0, 0.02.
double size_of(double constant);

/// Roots of the operands of the node at `root`, first to last.
std::vector<std::size_t> operands(const Formula& formula, std::size_t root);
/// The root of what is scored once all guards are passed: in `if(position < 4, keep, BODY)`, of BODY.
std::size_t body_root(const Formula& formula);
/// Roots of the terms that the expression at `root` adds or subtracts.
std::vector<std::size_t> term_roots(const Formula& formula, std::size_t root);
std::vector<std::size_t> nodes_of(const Formula& formula, Op op);

Formula with_term(const Formula& formula, const Formula& term);          ///< added to the body
Formula scaled(const Formula& formula, std::size_t root, double factor); ///< the subtree times a number
Formula replaced(const Formula& formula, std::size_t root, const Formula& by);

/// Text for a hypothesis: cut in the middle where it is long.
std::string brief(const Formula& formula);

} // namespace evictlab::evolution
