// SPDX-License-Identifier: MIT
#include "base/text/quoting.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdio>

#include "base/text/shown.hpp"

namespace evictlab::text {
namespace {

template <typename Number>
std::string formatted(const char* form, Number number) {
    std::array<char, 16> out{};
    std::snprintf(out.data(), out.size(), form, static_cast<unsigned>(number));
    return out.data();
}

bool is_word(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'); }

/// $'...', in which what is not plain is written in octal, of a fixed length; '!' too, which an interactive shell would
/// look up in its history.
std::string dollar_quoted(std::string_view word) {
    std::string out = "$'";
    while (!word.empty()) {
        const Piece piece = front(word);
        for (const char c : word.substr(0, piece.bytes)) {
            if (!piece.plain || piece.mark || c == '!')
                out += formatted("\\%03o", static_cast<unsigned char>(c));
            else if (c == '\'' || c == '\\')
                out.append("\\").append(1, c);
            else
                out += c;
        }
        word.remove_prefix(piece.bytes);
    }
    return out + "'";
}

std::string code_of_entities(std::string_view shown) {
    std::string out = "<code>";
    for (const char c : shown)
        out += std::ispunct(static_cast<unsigned char>(c)) != 0 ? "&#" + std::to_string(c) + ";" : std::string(1, c);
    return out + "</code>";
}

} // namespace

std::string shell_quoted(std::string_view word) {
    const bool harmless = std::ranges::all_of(
        word, [](char c) { return is_word(c) || std::string_view("_@%+=:,./-").find(c) != std::string_view::npos; });
    if (!word.empty() && harmless && word.front() != '=') return std::string(word);
    if (!is_plain(word)) return dollar_quoted(word);
    std::string out = "'";
    for (const char c : word) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
    return out + "'";
}

std::string gnuplot_quoted(std::string_view raw) {
    std::string out = "\"";
    for (const char c : line(raw)) {
        const bool plain = is_word(c) || std::string_view(" .,:_-+=/()").find(c) != std::string_view::npos;
        out += plain ? std::string(1, c) : formatted("\\%03o", static_cast<unsigned char>(c));
    }
    return out + "\"";
}

std::string markdown(std::string_view raw) {
    const std::string shown = line(raw);
    std::string out;
    for (std::size_t i = 0; i < shown.size(); ++i) {
        const char c = shown[i];
        const char next = i + 1 < shown.size() ? shown[i + 1] : ' ';
        const bool always = std::string_view("\\`*_|<~$").find(c) != std::string_view::npos;
        const bool before_more = std::string_view(":@!&#").find(c) != std::string_view::npos && next != ' ';
        const bool link = c == ']' && std::string_view("([:").find(next) != std::string_view::npos;
        const bool address = c == '.' && i >= 3 && (shown[i - 1] == 'w' || shown[i - 1] == 'W');
        if (always || before_more || link || address) out += '\\';
        out += c;
        // Renderers look for addresses and mentions in what the escapes give; a comment parts them.
        if (c == '@' && next != ' ') out += "<!-- -->";
    }
    return out;
}

std::string markdown_code(std::string_view raw) {
    const std::string shown = line(raw);
    // Some renderers take the second of two backslashes for the first half of an escape, and then the bar ends a cell.
    if (shown.find("\\|") != std::string::npos) return code_of_entities(shown);
    std::string body;
    std::size_t ticks = 0, longest = 0;
    for (const char c : shown) {
        ticks = c == '`' ? ticks + 1 : 0;
        longest = std::max(longest, ticks);
        if (c == '|') body += '\\';
        body += c;
    }
    if (body.empty()) return "";
    const std::string fence(longest + 1, '`');
    return longest == 0 ? fence + body + fence : fence + " " + body + " " + fence;
}

std::string markdown_target(std::string_view path) {
    std::string out = "<";
    for (const char c : path) {
        const bool plain = is_word(c) || std::string_view("-._~/").find(c) != std::string_view::npos;
        out += plain ? std::string(1, c) : formatted("%%%02X", static_cast<unsigned char>(c));
    }
    return out + ">";
}

std::string html(std::string_view raw) {
    std::string out;
    for (const char c : line(raw)) {
        if (c == '&')
            out += "&amp;";
        else if (c == '<')
            out += "&lt;";
        else if (c == '>')
            out += "&gt;";
        else if (c == '"')
            out += "&quot;";
        else if (c == '\'')
            out += "&#39;";
        else
            out += c;
    }
    return out;
}

std::string csv(std::string_view raw) {
    const std::string shown = line(raw);
    if (shown.find_first_of(",\"") == std::string::npos) return shown;
    std::string out = "\"";
    for (const char c : shown) {
        if (c == '"') out += '"';
        out += c;
    }
    return out + '"';
}

std::string json(std::string_view written) {
    if (std::ranges::all_of(written, [](char c) { return (c >= ' ' && c < '\x7f') || c == '\n'; }))
        return std::string(written);
    std::string out;
    while (!written.empty()) {
        const Piece piece = front(written);
        if ((piece.plain && !piece.mark) || piece.character == '\n' || piece.character == '\t')
            out += written.substr(0, piece.bytes);
        else if (!piece.valid)
            out += "\\ufffd";
        else if (piece.character < 0x10000)
            out += formatted("\\u%04x", piece.character);
        else
            out += formatted("\\u%04x", 0xd800 + ((piece.character - 0x10000) >> 10)) +
                   formatted("\\u%04x", 0xdc00 + ((piece.character - 0x10000) & 0x3ff));
        written.remove_prefix(piece.bytes);
    }
    return out;
}

} // namespace evictlab::text
