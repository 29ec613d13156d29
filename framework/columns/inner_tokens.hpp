// The part of a column's name that leaves out tokens at both ends, as in `key_leverage:first=8:last=4`.
// SPDX-License-Identifier: MIT
#pragma once
#include <algorithm>

#include "framework/columns/arguments.hpp"

namespace evictlab::columns {

struct InnerTokens {
    std::size_t first = 0, last = 0;

    static InnerTokens read(Arguments& arguments) {
        return {arguments.keyed("first", 0, 0, 1 << 20), arguments.keyed("last", 0, 0, 1 << 20)};
    }
    /// How many are left of so many; they begin at `first`.
    std::size_t count(std::size_t tokens) const { return tokens - std::min(tokens, first + last); }
};

} // namespace evictlab::columns
