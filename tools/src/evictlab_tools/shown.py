"""Text from outside (files, models, services) as people may see it: what a terminal would obey, hide or turn around
stands there in its escaped form, as in evictlab itself."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import sys
import unicodedata
from typing import TextIO

# Letters, marks and signs that are there to be ignored: Unicode's Default_Ignorable_Code_Point of other categories.
_IGNORABLE = (
    (0x034F, 0x034F),
    (0x115F, 0x1160),
    (0x17B4, 0x17B5),
    (0x180B, 0x180F),
    (0x3164, 0x3164),
    (0xFE00, 0xFE0F),
    (0xFFA0, 0xFFA0),
    (0xE0100, 0xE01EF),
)
_HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
_MOST_MARKS = 4  # on one character; more would climb into the lines around


def _escaped(character: str) -> str:
    if character in "\n\t\r":
        return {"\n": "\\n", "\t": "\\t", "\r": "\\r"}[character]
    point = ord(character)
    if 0xDC80 <= point <= 0xDCFF:  # a byte that was no UTF-8, as Python keeps it
        return f"\\x{point - 0xDC00:02x}"
    return f"\\x{point:02x}" if point < 0x80 else f"\\u{point:04x}" if point < 0x10000 else f"\\U{point:08x}"


def shown(text: str, *, lines: bool = False) -> str:
    """On one line; `lines`: line ends stay, and tabs are blanks."""
    if text.isascii() and text.isprintable():
        return text
    out: list[str] = []
    marks, follows = 0, False
    for character in text:
        if lines and character in "\n\t":
            out.append("\n" if character == "\n" else " ")
            marks, follows = 0, False
            continue
        category = unicodedata.category(character)
        marks = marks + 1 if category in ("Mn", "Me") else 0
        hidden = category in _HIDDEN or any(low <= ord(character) <= high for low, high in _IGNORABLE)
        follows = not hidden and (marks == 0 or (follows and marks <= _MOST_MARKS))
        out.append(character if follows else _escaped(character))
    return "".join(out)


def say(text: str = "", *, file: TextIO | None = None, flush: bool = False) -> None:
    """print() for text that others had a part in; of any number of lines."""
    print(shown(text, lines=True), file=file or sys.stdout, flush=flush)


def complain(text: str) -> None:
    """To standard error."""
    say(text, file=sys.stderr)
