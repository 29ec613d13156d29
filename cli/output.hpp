// What the commands print: the one border where text meets a terminal. Texts among the arguments stand on one line, and
// nothing gets through that a terminal would obey (text/shown.hpp). SPDX-License-Identifier: MIT
#pragma once
#include <fmt/format.h>

#include <string>
#include <string_view>
#include <type_traits>

#include "base/text/shown.hpp"

namespace evictlab::cli {

/// To standard output: a text of any number of lines.
void print(std::string_view text);
/// Why standard output took something not, by errno; 0 where it took all so far.
int output_error();
/// To standard error: "evictlab: MESSAGE" and a line end; further lines of the message are set in.
void complain(std::string_view message, std::string_view program = "evictlab");

template <class T>
auto shown(const T& value) {
    if constexpr (std::is_convertible_v<const T&, std::string_view>)
        return text::line(std::string_view(value));
    else
        return value;
}

template <class... T>
std::string formatted(fmt::string_view form, const T&... values) {
    return fmt::vformat(form, fmt::make_format_args(values...));
}

/// print() of a format and its values.
template <class... T>
void say(fmt::format_string<const T&...> form, const T&... values) {
    print(formatted(form, shown(values)...));
}

} // namespace evictlab::cli
