// One function a kind of output: any text, and what comes out is that text and no command, link, tag or option there.
// Each escapes first what text/shown.hpp does, so hidden characters show in all of them.
// SPDX-License-Identifier: MIT
#pragma once
#include <string>
#include <string_view>

namespace evictlab::text {

/// As one word of a POSIX shell: as it is where nothing in it means anything there, else in single quotes. Characters
/// that a terminal would obey or hide are written in bash's, zsh's and ksh's form $'\033', which gives the same bytes.
std::string shell_quoted(std::string_view word);
/// As gnuplot's string in double quotes with every sign that could mean something there in octal: no quote, back quote,
/// '!' or '@' is left in the script. (In its single quotes two quotes beside each other end a string in some versions.)
/// To be used with `noenhanced`.
std::string gnuplot_quoted(std::string_view raw);
/// As text of Markdown, also in a cell of a table: not code, emphasis, a link, a tag or a reference.
std::string markdown(std::string_view raw);
/// As a code span of Markdown that is safe inside a table; "" for nothing.
std::string markdown_code(std::string_view raw);
/// As the target of a link of Markdown, in <>: a relative path.
std::string markdown_target(std::string_view path);
/// As text or a quoted attribute of HTML and XML.
std::string html(std::string_view raw);
/// As a cell of CSV (RFC 4180).
std::string csv(std::string_view raw);
/// Valid JSON with what shown.hpp escapes as \uXXXX inside its strings: the same values, safe to look at.
std::string json(std::string_view written);

} // namespace evictlab::text
