// SPDX-License-Identifier: MIT
#include "base/json/limits.hpp"

#include <array>

namespace evictlab {
namespace {

constexpr std::size_t most_levels = 64;

/// The position behind the text that begins at `quote`.
std::size_t behind_string(std::string_view text, std::size_t quote) {
    for (std::size_t i = quote + 1; i < text.size(); ++i) {
        if (text[i] == '\\')
            ++i;
        else if (text[i] == '"')
            return i + 1;
    }
    return text.size();
}

} // namespace

std::string beyond_limits(std::string_view text, const JsonLimits& limits) {
    std::array<std::size_t, most_levels + 1> members{}; // of the objects that are open, by their level
    std::size_t depth = 0, values = 1;
    for (std::size_t i = 0; i < text.size();) {
        const char c = text[i];
        if (c == '"') {
            i = behind_string(text, i);
            continue;
        }
        ++i;
        if (c == '{' || c == '[') {
            if (depth == limits.depth || depth == most_levels)
                return "nests deeper than " + std::to_string(limits.depth) + " levels";
            members[++depth] = 0;
            ++values;
        } else if ((c == '}' || c == ']') && depth > 0) {
            --depth;
        } else if (c == ':' && ++members[depth] > limits.members) {
            return "has an object of more than " + std::to_string(limits.members) + " members";
        } else if (c == ',' && ++values > limits.values) {
            return "has more than " + std::to_string(limits.values) + " values";
        }
    }
    return {};
}

} // namespace evictlab
