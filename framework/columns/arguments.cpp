// SPDX-License-Identifier: MIT
#include "framework/columns/arguments.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "base/error.hpp"

namespace evictlab::columns {

Arguments::Arguments(std::string_view column, std::string_view text) : column_(column) {
    while (!text.empty()) {
        const std::size_t end = std::min(text.find(':'), text.size());
        parts_.emplace_back(text.substr(0, end));
        text.remove_prefix(std::min(text.size(), end + 1));
    }
}

std::size_t Arguments::parse(std::string_view text, std::string_view what, std::size_t low, std::size_t high) const {
    std::size_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size() || value < low || value > high)
        throw UsageError(fmt::format("column '{}': {} is '{}', but must be a whole number from {} to {}", column_, what,
                                     text, low, high));
    return value;
}

std::size_t Arguments::number(std::string_view what, std::size_t otherwise, std::size_t low, std::size_t high) {
    if (parts_.empty() || parts_.front().empty() || parts_.front()[0] < '0' || parts_.front()[0] > '9')
        return otherwise;
    const std::size_t value = parse(parts_.front(), what, low, high);
    parts_.erase(parts_.begin());
    return value;
}

std::size_t Arguments::keyed(std::string_view key, std::size_t otherwise, std::size_t low, std::size_t high) {
    for (auto at = parts_.begin(); at != parts_.end(); ++at) {
        if (!at->starts_with(key) || at->size() <= key.size() || (*at)[key.size()] != '=') continue;
        const std::size_t value = parse(std::string_view(*at).substr(key.size() + 1), key, low, high);
        parts_.erase(at);
        return value;
    }
    return otherwise;
}

std::size_t Arguments::pool(std::size_t otherwise) {
    const std::size_t kernel = keyed("pool", otherwise, 1, 1023);
    if (kernel % 2 == 0) throw UsageError(fmt::format("column '{}': pool must be odd, as SnapKV's kernel is", column_));
    return kernel;
}

bool Arguments::word(std::string_view word) {
    const auto at = std::ranges::find(parts_, word);
    if (at == parts_.end()) return false;
    parts_.erase(at);
    return true;
}

void Arguments::end(std::string_view usage) const {
    if (parts_.empty()) return;
    if (usage.empty())
        throw UsageError(fmt::format("column '{}' takes no parameters, but got ':{}'", column_, parts_.front()));
    throw UsageError(
        fmt::format("column '{}': ':{}' is none of its parameters; write {}", column_, parts_.front(), usage));
}

} // namespace evictlab::columns
