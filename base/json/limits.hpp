// Limits on JSON that somebody else may have written, checked on its text before anything is built from it. What they
// bound: the depth of nesting, the members of one object (nlohmann's ordered_json looks at each to find one, so an
// object of a million members takes hours) and the values in all, at about 100 bytes of memory each beside the text
// itself. SPDX-License-Identifier: MIT
#pragma once
#include <cstddef>
#include <string>
#include <string_view>

namespace evictlab {

struct JsonLimits {
    std::size_t depth = 16;
    std::size_t members = 1'000;    ///< of one object
    std::size_t values = 4'000'000; ///< in all
};

/// Which limit the text is beyond, to stand behind its name: "nests deeper than 16 levels"; "" where it is beyond none.
/// Right for all JSON; of other text only that it takes one pass and no memory. `limits.depth` is at most 64.
std::string beyond_limits(std::string_view text, const JsonLimits& limits = {});

} // namespace evictlab
