// SPDX-License-Identifier: MIT
#include "base/text/suggestion.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <numeric>
#include <vector>

namespace evictlab::text {

namespace {

// How many letters must be changed, added or left out to get from one to the other.
std::size_t edit_distance(std::string_view a, std::string_view b) {
    std::vector<std::size_t> row(b.size() + 1);
    std::iota(row.begin(), row.end(), std::size_t{0});
    for (std::size_t i = 0; i < a.size(); ++i) {
        std::size_t diagonal = row[0];
        row[0] = i + 1;
        for (std::size_t j = 0; j < b.size(); ++j) {
            const std::size_t replaced = diagonal + (a[i] != b[j]);
            diagonal = row[j + 1];
            row[j + 1] = std::min({replaced, diagonal + 1, row[j] + 1});
        }
    }
    return row[b.size()];
}

} // namespace

const std::string* probably_meant(std::string_view typed, std::span<const std::string> names) {
    if (names.empty()) return nullptr;
    const auto distance = [&](const std::string& name) { return edit_distance(typed, name); };
    const std::string& nearest = *std::ranges::min_element(names, {}, distance);
    const bool prefix = !typed.empty() && nearest.starts_with(typed);
    return prefix || distance(nearest) <= 1 + typed.size() / 4 ? &nearest : nullptr;
}

std::string what_there_is(std::string_view typed, std::span<const std::string> names, std::string_view kind) {
    if (names.empty()) return fmt::format("; there is no {}", kind);
    if (const std::string* meant = probably_meant(typed, names))
        return fmt::format("; did you mean '{}'? There are: {}", *meant, fmt::join(names, ", "));
    return fmt::format("; there are: {}", fmt::join(names, ", "));
}

} // namespace evictlab::text
