// What the terminal is that the program writes to. SPDX-License-Identifier: MIT
#pragma once
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace evictlab::cli {

/// Of the terminal behind a file descriptor: 80 where it does not say. Nothing where that is no terminal.
std::optional<std::size_t> terminal_width(int descriptor);

/// Whether it is a terminal that obeys escapes: TERM is set, and not "dumb".
bool obeys_escapes(int descriptor);
/// The same, and the user did not set NO_COLOR (no-color.org).
bool shows_colour(int descriptor);

/// The text with line ends between words, where a line has more columns; lines that begin with an escape are left.
std::string wrapped(std::string_view text, std::size_t columns);
/// The same, and what goes on stands behind as many blanks as the line began with, and two more.
std::string set_in(std::string_view text, std::size_t columns);
/// wrapped() of text whose own line ends mean nothing inside a paragraph: where a line begins with a blank, one begins.
std::string refilled(std::string_view text, std::size_t columns);

} // namespace evictlab::cli
