// How operators are spelled in text: shared by the parser and the printer, so that they cannot disagree.
// SPDX-License-Identifier: MIT
#pragma once
#include <array>
#include <string_view>

#include "framework/formula/formula.hpp"

namespace evictlab::formula {

struct Spelling {
    std::string_view text;
    Op op;
};

/// Written as `name(argument, ...)`.
inline constexpr std::array functions{
    Spelling{"abs", Op::abs}, Spelling{"exp", Op::exp}, Spelling{"if", Op::select}, Spelling{"log", Op::log},
    Spelling{"max", Op::max}, Spelling{"min", Op::min}, Spelling{"sqrt", Op::sqrt}, Spelling{"tanh", Op::tanh},
};
/// Longer ones first where one begins another.
inline constexpr std::array comparisons{
    Spelling{"<=", Op::le}, Spelling{">=", Op::ge}, Spelling{"==", Op::eq},
    Spelling{"<", Op::lt},  Spelling{">", Op::gt},
};
inline constexpr std::array names{Spelling{"keep", Op::keep}, Spelling{"drop", Op::drop}};

/// How tightly an expression holds together; an operand that holds less tightly than its place asks is parenthesised.
enum class Binding { comparison, sum, product, unary, power, atom };

} // namespace evictlab::formula
