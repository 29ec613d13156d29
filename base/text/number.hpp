// Numbers that somebody typed.
// SPDX-License-Identifier: MIT
#pragma once
#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <string_view>
#include <type_traits>

#include "base/option_error.hpp"

namespace evictlab::text {

/// The whole of `text` as a number, finite where it is a fraction; OptionError that says what is expected ("a whole
/// number").
template <class Number>
Number number(std::string_view option, std::string_view text, std::string_view expected) {
    Number value{};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    bool right = error == std::errc{} && end == text.data() + text.size();
    if constexpr (std::is_floating_point_v<Number>) right = right && std::isfinite(value); // "nan" is read as one
    if (!right) throw OptionError(std::string(option), fmt::format("is '{}', but must be {}", text, expected));
    return value;
}

} // namespace evictlab::text
