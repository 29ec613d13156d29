"""Texts that needles are hidden in, where RULER takes Paul Graham's essays: those of the corpus catalogue's prose of a
split, so that no split has a work of another's, or files that somebody gives."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path

from evictlab_tools.corpus.catalogue import CATALOGUE, LOOKUP
from evictlab_tools.corpus.extract import extract
from evictlab_tools.documents import read_text
from evictlab_tools.errors import ToolError, UsageError

WORDS = 12_000  # of each place in a novel; longer prompts repeat them, as RULER's do
SPLITS = ("train", "valid", "test")
PLAIN = {0x2018: "'", 0x2019: "'", 0x201C: '"', 0x201D: '"', 0x2013: "-", 0x2014: " - ", 0x2026: "...", ord("_"): " "}


@dataclass(frozen=True)
class Passage:
    words: tuple[str, ...]
    source: str
    licence: str

    def taken(self, first: int, count: int) -> list[str]:
        """So many words from this one on; from the beginning again where they end."""
        return list(islice(cycle(self.words), first, first + count))


def plain_words(text: str) -> tuple[str, ...]:
    """In ASCII, so that every tokenizer's tokens lie between characters."""
    ascii_text = unicodedata.normalize("NFKD", text.translate(PLAIN)).encode("ascii", "ignore").decode()
    return tuple(ascii_text.split())


def passages_of_packages(root: Path, split: str) -> list[Passage]:
    """The prose of the catalogue's documents of a split, from unpacked Debian packages."""
    entries = {e.start: e for e in (*CATALOGUE, *LOOKUP) if e.kind.startswith("prose") and e.split == split}
    found = []
    for entry in entries.values():
        words = plain_words(extract(root / entry.package / entry.path.lstrip("/"), entry.start))[:WORDS]
        found.append(Passage(words, f"Debian package {entry.package}, {entry.path}, {entry.document}", entry.licence))
    return found


def passages_of_files(files: Sequence[Path], split: str) -> list[Passage]:
    """Of each file a third, so that splits share nothing."""
    found = []
    for file in files:
        words = plain_words(read_text(file))
        third = len(words) // len(SPLITS)
        if third == 0:
            raise ToolError(f"{file}: has {len(words)} words, too few for a haystack")
        part = words[SPLITS.index(split) * third :][:third]
        found.append(Passage(part, f"{file.name}, the part of the {split} split", "unknown"))
    return found


def passages(root: Path | None, files: Sequence[Path], split: str) -> list[Passage]:
    if files:
        return passages_of_files(files, split)
    if root is None:
        raise UsageError(
            "these tasks hide needles in prose: name the unpacked Debian packages with --root (scripts/capture-suite "
            "unpacks them in build/corpus/packages), or texts of your own with --texts"
        )
    return passages_of_packages(root, split)
