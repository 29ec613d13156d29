"""What is finished, one JSON line a figure: a verdict that was stopped goes on from it."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from evictlab_tools.journal import LineJournal
from evictlab_tools.uncompressed import Lookup, Uncompressed, uncompressed_of_json
from evictlab_tools.verdict.cost import CacheShape, Cost
from evictlab_tools.verdict.judge import Figures

FORMAT = "evictlab-verdict-journal/1"
Key = tuple[str, str, float]  # document's hash, scorer's hash, retention


class Journal:
    """`basis` is what all figures follow from (the weights, the version)."""

    def __init__(self, path: Path, basis: dict[str, Any]) -> None:
        self._lines = LineJournal(path, FORMAT, "evictlab-verdict", basis)
        self._figures: dict[Key, Figures] = {}
        self._uncompressed: dict[str, dict[str, Any]] = {}  # by document's hash
        self._costs: dict[tuple[str, str], Cost] = {}  # by document's and scorer's hash
        self._cache: CacheShape | None = None
        try:
            for entry in self._lines.entries:
                self._take(entry)
        except (KeyError, TypeError, ValueError, AttributeError):
            raise self._lines.foreign() from None

    def _take(self, entry: dict[str, Any]) -> None:
        if "uncompressed" in entry:
            self._uncompressed[entry["document_hash"]] = entry["uncompressed"]
            if "cache" in entry:
                self._cache = CacheShape(**{name: int(value) for name, value in entry["cache"].items()})
            return
        key = (entry["document_hash"], entry["scorer_hash"], float(entry["retention"]))
        self._figures[key] = Figures(entry["kl"], entry["delta_nll"], entry["kept"], entry["cached"], entry.get("more"))
        if "cost" in entry:
            cost = entry["cost"]
            self._costs[key[:2]] = Cost(float(cost["microseconds"]), str(cost["measured_on"]))

    def get(self, key: Key) -> Figures | None:
        return self._figures.get(key)

    def add(self, key: Key, names: dict[str, str], figures: Figures, cost: Cost | None = None) -> None:
        """`names` are for people. `cost` is the scorer's on the document."""
        document, scorer, retention = key
        measured = {name: value for name, value in asdict(figures).items() if value is not None}
        entry = {**names, "retention": retention, **measured, "document_hash": document, "scorer_hash": scorer}
        self._lines.add({**entry, "cost": cost.to_json()} if cost is not None else entry)
        self._figures[key] = figures
        if cost is not None:
            self._costs[document, scorer] = cost

    def cost(self, document: str, scorer: str) -> Cost | None:
        return self._costs.get((document, scorer))

    @property
    def cache(self) -> CacheShape | None:
        """The model's, if it was noted."""
        return self._cache

    def uncompressed(self, document: str, lookups: Sequence[Lookup]) -> Uncompressed | None:
        """What the model makes of a document with these lookups by itself, if it was noted."""
        noted = self._uncompressed.get(document)
        found = None if noted is None else uncompressed_of_json(noted)
        return found if found is not None and [one for one, _ in found.lookups] == list(lookups) else None

    def add_uncompressed(self, document: str, name: str, uncompressed: Uncompressed, cache: CacheShape) -> None:
        noted = uncompressed.to_json()
        self._lines.add({"document": name, "uncompressed": noted, "cache": asdict(cache), "document_hash": document})
        self._uncompressed[document], self._cache = noted, cache

    def close(self) -> None:
        self._lines.close()
