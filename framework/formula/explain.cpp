// What a formula does, told to a reader.
// SPDX-License-Identifier: MIT
#include "framework/formula/formula.hpp"

namespace evictlab::formula {

std::string explain(const Formula& formula) {
    std::string text = "score = " + print(formula) + "\n";
    for (const ColumnId id : formula.columns()) text += "  " + columns::name(id) + "\n";
    return text;
}

} // namespace evictlab::formula
