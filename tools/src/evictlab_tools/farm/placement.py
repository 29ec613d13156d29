"""Which workers a document is asked at: few, and always the same, since each keeps the prompts that it has read."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

from evictlab_tools.farm.introduction import Document

HEAT = 4  # documents that a search asks about at a time


def _weight(*words: object) -> bytes:
    return hashlib.sha256("\0".join(map(str, words)).encode(errors="surrogatepass")).digest()


def homes(workers: int) -> int:
    """How many workers a document has: a quarter, so that all are busy with the documents of a heat. Where these cannot
    be dealt out evenly, two at least, so that the fourth document does not make three workers wait."""
    return 1 if HEAT % workers == 0 else max(2, -(-workers // HEAT))


def kind_of(document: str, kinds: Iterable[str]) -> str:
    """Of the kinds of workers, the one that judges the document: by rendezvous hash, whoever is there or not."""
    return max(sorted(kinds), key=lambda kind: _weight(kind, document))


class Placement:
    """The order in which each document prefers `workers` places, 0, 1, ...: first its homes, dealt out so that the
    documents that follow one another in a split have different ones, then by rendezvous hash (Thaler and Ravishankar
    1998), so that what a lost worker had is spread over all others."""

    def __init__(self, documents: Sequence[Document], workers: int) -> None:
        self._orders: dict[str, list[int]] = {}
        seen: dict[str, int] = {}
        for document in documents:
            index = seen[document.split] = seen.get(document.split, -1) + 1
            first = [(index * homes(workers) + i) % workers for i in range(homes(workers))]
            by_hash = sorted(range(workers), key=lambda place: _weight(place, document.name), reverse=True)
            self._orders[document.name] = list(dict.fromkeys([*first, *by_hash]))

    def homes_of(self, document: str, present: set[int]) -> list[int]:
        """Of the places that are present, those that the document is asked at."""
        order = [place for place in self._orders[document] if place in present]
        return order[: homes(len(present))] if order else []
