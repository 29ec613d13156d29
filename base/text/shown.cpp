// SPDX-License-Identifier: MIT
#include "base/text/shown.hpp"

#include <utf8proc.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>

namespace evictlab::text {
namespace {

/// More marks than any script puts on a character would climb into the lines around.
constexpr int most_marks = 4;

bool is_shown(const utf8proc_property_t& property) {
    if (property.ignorable) return false;
    switch (property.category) {
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_CS:
    case UTF8PROC_CATEGORY_CO:
    case UTF8PROC_CATEGORY_CN:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
        return false;
    default:
        return true;
    }
}

/// The text piece by piece: those that stand as they are, and the escapes of the others.
class Pieces {
public:
    explicit Pieces(std::string_view text) : rest_(text) {}

    bool next() {
        if (rest_.empty()) return false;
        piece_ = front(rest_);
        shown_ = rest_.substr(0, piece_.bytes);
        rest_.remove_prefix(piece_.bytes);
        marks_ = piece_.mark ? marks_ + 1 : 0;
        plain_ = piece_.plain && !(piece_.mark && (!follows_character_ || marks_ > most_marks));
        follows_character_ = plain_;
        return true;
    }
    const Piece& piece() const { return piece_; }
    bool plain() const { return plain_; }
    std::string shown() const { return plain_ ? std::string(shown_) : escaped(piece_); }

private:
    std::string_view rest_, shown_;
    Piece piece_;
    int marks_ = 0;
    bool plain_ = true, follows_character_ = false;
};

/// What is written so far, of at most `most` characters.
class Bounded {
public:
    explicit Bounded(std::size_t most) : most_(most) {}

    /// False where it is full, and then ends in "...".
    bool add(const std::string& piece, std::size_t characters) {
        if (characters > most_ - characters_) {
            text_.resize(room_);
            text_.append(std::min<std::size_t>(3, most_), '.');
            return false;
        }
        text_ += piece;
        characters_ += characters;
        if (most_ >= 3 && characters_ <= most_ - 3) room_ = text_.size();
        return true;
    }
    std::string take() { return std::move(text_); }

private:
    std::size_t most_, characters_ = 0, room_ = 0;
    std::string text_;
};

/// Printable ASCII and line ends, as nearly all text is: nothing to look up.
bool is_plain_ascii(std::string_view text) {
    return std::ranges::all_of(text, [](char c) { return (c >= ' ' && c < '\x7f') || c == '\n'; });
}

bool is_blank(char32_t character) { return character == ' ' || (character >= '\t' && character <= '\r'); }

std::size_t characters_of(const Pieces& pieces, const std::string& shown) { return pieces.plain() ? 1 : shown.size(); }

} // namespace

Piece front(std::string_view text) {
    const auto first = static_cast<unsigned char>(text.front());
    if (first >= 0x20 && first < 0x7f) return {1, first, true, true, false};
    utf8proc_int32_t point = 0;
    const auto bytes = utf8proc_iterate(reinterpret_cast<const utf8proc_uint8_t*>(text.data()),
                                        static_cast<utf8proc_ssize_t>(std::min<std::size_t>(text.size(), 4)), &point);
    if (bytes <= 0) return {1, first, false, false, false};
    const utf8proc_property_t& property = *utf8proc_get_property(point);
    const bool mark = property.category == UTF8PROC_CATEGORY_MN || property.category == UTF8PROC_CATEGORY_ME;
    return {static_cast<std::size_t>(bytes), static_cast<char32_t>(point), true, is_shown(property), mark};
}

std::string escaped(const Piece& piece) {
    if (piece.character == '\n') return "\\n";
    if (piece.character == '\t') return "\\t";
    if (piece.character == '\r') return "\\r";
    const char* const form = !piece.valid || piece.character < 0x80 ? "\\x%02x"
                             : piece.character < 0x10000            ? "\\u%04x"
                                                                    : "\\U%08x";
    std::array<char, 16> out{};
    std::snprintf(out.data(), out.size(), form, static_cast<unsigned>(piece.character));
    return out.data();
}

std::string line(std::string_view raw, std::size_t most) {
    if (raw.size() <= most && is_plain_ascii(raw) && raw.find('\n') == raw.npos) return std::string(raw);
    Bounded out(most);
    for (Pieces pieces(raw); pieces.next();) {
        const std::string shown = pieces.shown();
        if (!out.add(shown, characters_of(pieces, shown))) break;
    }
    return out.take();
}

std::string sentence(std::string_view raw, std::size_t most) {
    Bounded out(most);
    bool begun = false, blank = false;
    for (Pieces pieces(raw); pieces.next();) {
        if (is_blank(pieces.piece().character)) {
            blank = begun;
            continue;
        }
        const std::string shown = pieces.shown();
        if (blank && !out.add(" ", 1)) break;
        if (!out.add(shown, characters_of(pieces, shown))) break;
        begun = true;
        blank = false;
    }
    return out.take();
}

std::string lines(std::string_view raw) {
    if (is_plain_ascii(raw)) return std::string(raw);
    std::string out;
    for (Pieces pieces(raw); pieces.next();) {
        const char32_t character = pieces.piece().character;
        if (character == '\n')
            out += '\n';
        else if (character == '\t')
            out += ' ';
        else
            out += pieces.shown();
    }
    return out;
}

std::string named(std::string_view raw, std::size_t most) { return "'" + line(raw, most) + "'"; }

std::size_t width(std::string_view text) {
    std::size_t columns = 0;
    for (Pieces pieces(text); pieces.next();) {
        const int of_piece =
            pieces.piece().valid ? utf8proc_charwidth(static_cast<utf8proc_int32_t>(pieces.piece().character)) : 1;
        columns += static_cast<std::size_t>(std::max(0, of_piece));
    }
    return columns;
}

bool is_plain(std::string_view text, bool multiline) {
    for (Pieces pieces(text); pieces.next();)
        if (!pieces.plain() && !(multiline && pieces.piece().character == '\n')) return false;
    return true;
}

} // namespace evictlab::text
