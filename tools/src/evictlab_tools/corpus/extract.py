"""Plain text from what packages carry: (compressed) text, HTML, R data, fortune cookies."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import gzip
import html
import re
import struct
import zlib
from html.parser import HTMLParser
from pathlib import Path

from evictlab_tools.errors import ToolError

SKIPPED = {"head", "script", "style", "nav"}
BLOCKS = {"p", "div", "h1", "h2", "h3", "h4", "li", "dt", "dd", "br", "tr", "section", "hr", "ul", "ol", "dl", "table"}


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.parts: list[str] = []
        self._skipped = 0
        self._pre = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._skipped += tag in SKIPPED
        self._pre += tag == "pre"
        if tag in BLOCKS or tag == "pre":
            self.parts.append("\n" if tag in {"br", "li", "dt", "dd"} else "\n\n")

    def handle_endtag(self, tag: str) -> None:
        self._skipped -= tag in SKIPPED
        self._pre -= tag == "pre"
        if tag in BLOCKS or tag == "pre":
            self.parts.append("\n")

    def handle_data(self, data: str) -> None:
        if not self._skipped:
            self.parts.append(data if self._pre else re.sub(r"\s+", " ", data))


def text_of_html(page: str) -> str:
    reader = _Reader()
    reader.feed(page)
    lines = (line.rstrip() for line in "".join(reader.parts).splitlines())
    text = re.sub(r"\n{3,}", "\n\n", "\n".join(lines))
    return re.sub(r"(?m)^ (?=\S)", "", html.unescape(text)).strip() + "\n"


def text_of_fortunes(cookies: str) -> str:
    """Quotations, which stand between lines of '%'."""
    return re.sub(r"(?m)^%\n", "\n", cookies)


def text_of_rdata(data: bytes) -> str:
    """The vectors of strings in an R package's Rdata.rdb, joined by lines.

    Such a file is a row of blocks: the uncompressed length (big endian), a zlib stream with a serialised value.
    """
    texts: list[str] = []
    while data:
        stream = zlib.decompressobj()
        value = stream.decompress(data[4:])
        data = stream.unused_data
        texts.append("\n".join(_strings(value)))
    return "\n".join(texts)


def _strings(value: bytes) -> list[str]:
    """The strings of a serialised character vector (XDR, versions 2 and 3)."""
    version = struct.unpack_from(">i", value, 2)[0]
    at = 14
    if version == 3:  # the native encoding's name stands in between
        at += 4 + struct.unpack_from(">i", value, at)[0]
    flags, count = struct.unpack_from(">ii", value, at)
    if flags & 0xFF != 16:  # STRSXP
        return []
    at += 8
    strings = []
    for _ in range(count):
        length = struct.unpack_from(">i", value, at + 4)[0]
        at += 8
        strings.append(value[at : at + max(length, 0)].decode("utf-8", "replace"))
        at += max(length, 0)
    return strings


def extract(path: Path, start: str) -> str:
    """The file's text from the first line that begins with `start`."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise ToolError(f"{path}: there is no such file; this release of the package has it elsewhere") from None
    if path.suffix == ".rdb":
        text = text_of_rdata(data)
    else:
        text = (gzip.decompress(data) if path.suffix == ".gz" else data).decode("utf-8", "replace")
        if path.suffix == ".html":
            text = text_of_html(text)
        elif "fortunes" in path.parts:
            text = text_of_fortunes(text)
    text = text.replace("\r\n", "\n")
    found = re.search(r"(?m)^[ \t]*" + re.escape(start), text)
    if found is None:
        raise ToolError(f'{path}: no line begins with "{start}"; this release of the package has another text')
    return text[found.start() :]
