// A formula in PyTorch: its columns, its expression and the functions of export/torch that they call.
// SPDX-License-Identifier: MIT
#pragma once
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "export/champion.hpp"
#include "export/expression.hpp"

namespace evictlab::exporting {

struct TorchFormula {
    std::vector<std::pair<Variable, std::string>> columns; ///< and the call that gives each, in the order of reading
    std::string constants, functions;                      ///< what these calls and the expression need
    std::string expression;                                ///< of the columns' variables, for a line `    scores = `
};

/// Why a formula has no PyTorch form, be there a calibration or not: "uses the column 'token_type', which it cannot
/// have: ..."; "" where it has one.
std::string torch_refusal(const formula::Formula& formula);

/// `indent` is that of the line, and `around` text whose functions are needed as well. Throws UsageError that names a
/// column which has no PyTorch form or lacks its calibration, and for a formula that Python could not read.
TorchFormula torch_formula(const Champion& champion, std::size_t indent, std::string_view around = "");

/// The lines that import what a module's text mentions.
std::string torch_imports(std::string_view text);

std::string_view without_line_end(std::string_view text);

} // namespace evictlab::exporting
