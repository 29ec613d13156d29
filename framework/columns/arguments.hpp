// The parameters in a column's name: what follows the first ':', as in `window_attn:64:pool=5:avg`.
// SPDX-License-Identifier: MIT
#pragma once
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace evictlab::columns {

/// Reads them one by one; what is left over or does not fit is refused with a UsageError that names the column.
class Arguments {
public:
    Arguments(std::string_view column, std::string_view text);
    /// The next part as a whole number in [low, high], where it is one; else `otherwise`, and the part is left.
    std::size_t number(std::string_view what, std::size_t otherwise, std::size_t low, std::size_t high);
    /// The value of `key=VALUE`, likewise, wherever it stands.
    std::size_t keyed(std::string_view key, std::size_t otherwise, std::size_t low, std::size_t high);
    /// The odd kernel of a pooling, `pool=K`, likewise.
    std::size_t pool(std::size_t otherwise);
    /// Whether the word is there.
    bool word(std::string_view word);
    /// Refuses what nobody asked for; `usage` shows the forms that there are.
    void end(std::string_view usage) const;

private:
    std::size_t parse(std::string_view text, std::string_view what, std::size_t low, std::size_t high) const;
    std::string column_;
    std::vector<std::string> parts_;
};

} // namespace evictlab::columns
