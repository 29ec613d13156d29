// Text from outside (files, plugins, judges, names of files) as people may see it: what a terminal or a browser would
// obey, hide or turn around stands there in its escaped form. Such are control characters (C0, DEL, C1), marks and
// isolates of direction, characters of no width, line and paragraph separators, unassigned and private characters, and
// bytes that are no UTF-8: \n, \x1b, \u202e, \U000e0041, \xff. Twice is as good as once: escapes are plain ASCII.
// The quoting for one kind of output is in text/quoting.hpp. SPDX-License-Identifier: MIT
#pragma once
#include <cstddef>
#include <string>
#include <string_view>

namespace evictlab::text {

inline constexpr std::size_t all = static_cast<std::size_t>(-1);

/// On one line, of at most `most` characters; a longer one ends in "...".
std::string line(std::string_view raw, std::size_t most = all);
/// The same with every run of blanks, tabs and line ends as one blank, and none at the ends: for sentences.
std::string sentence(std::string_view raw, std::size_t most = all);
/// Line ends stay, tabs are blanks: for a message of several lines.
std::string lines(std::string_view raw);
/// 'name', of at most `most` characters between the quotes.
std::string named(std::string_view raw, std::size_t most = 60);

/// Columns of a terminal that the text takes: 0 for combining marks, 2 for wide characters.
std::size_t width(std::string_view text);

/// Valid UTF-8 in which nothing is to be escaped. `multiline`: line ends are allowed.
bool is_plain(std::string_view text, bool multiline = false);

/// What stands at the front of a text that is not empty.
struct Piece {
    std::size_t bytes = 0;
    char32_t character = 0; ///< the byte itself where it is no UTF-8
    bool valid = true;      ///< UTF-8
    bool plain = true;      ///< to be shown as it is; of a combining mark only that it may follow a character
    bool mark = false;      ///< a combining mark
};
Piece front(std::string_view text);
/// The piece in its escaped form.
std::string escaped(const Piece& piece);

} // namespace evictlab::text
