// What one operator computes for one token: the definition that the fast kernels are held to.
// SPDX-License-Identifier: MIT
#pragma once
#include "framework/formula/formula.hpp"

namespace evictlab::formula {

/// Of an operator with operands; those beyond its arity are ignored. By the C library's exp, log, pow and tanh.
double apply(Op op, double a, double b, double c);

} // namespace evictlab::formula
