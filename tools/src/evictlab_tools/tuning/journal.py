"""What documents said, noted as they say it: tuning that was stopped goes on from there, to the same formula."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from evictlab_tools import __version__
from evictlab_tools.calibration import CalibrationFile
from evictlab_tools.errors import ToolError
from evictlab_tools.files import sha256_of_bytes
from evictlab_tools.journal import LineJournal
from evictlab_tools.tuning.boundary import Doubles
from evictlab_tools.tuning.budgets import UNIFORM
from evictlab_tools.tuning.directions import Point
from evictlab_tools.tuning.lines import pull_from, pull_to_json
from evictlab_tools.tuning.place import Here, Place, Seed
from evictlab_tools.tuning.pull import Pull
from evictlab_tools.verdict.documents import TokenDocument

FORMAT = "evictlab-tune-journal/1"
MADE_BY = f"evictlab-tune {__version__}"


def basis_here(here: Here, threads: int, calibration: CalibrationFile | None) -> dict[str, Any]:
    """What answers follow from beside the document and what is asked, where this process reads."""
    judge = here.judge
    basis = {"by": MADE_BY, "weights": judge.source.weights, "sliding_layers": judge.sliding_layers, "threads": threads}
    basis.update(judge.source.device.field)
    if not judge.shape.usual:
        basis["shape"] = judge.shape.to_json()
    if here.budgets != UNIFORM:
        basis["budgets"] = here.budgets
    if calibration is not None:
        basis["calibration"] = f"sha256:{calibration.sha256}"
    return basis


def hash_of(document: TokenDocument) -> str:
    own_pass = f", second pass {document.second_pass[1]}" if document.second_pass is not None else ""
    return document.hash + own_pass


class Noted:
    """A place (Place) that is asked nothing twice. `hashes` are of the documents, by their names."""

    def __init__(self, place: Place, path: Path, basis: dict[str, Any], hashes: Mapping[str, str]) -> None:
        self._place, self._hashes = place, hashes
        self._lines = LineJournal(path, FORMAT, "evictlab-tune", basis)
        try:
            self._said = {str(entry["asked"]): entry["said"] for entry in self._lines.entries}
        except KeyError:
            raise self._lines.foreign() from None

    def close(self) -> None:
        self._lines.close()

    def _key(self, name: str, *asked: Any) -> str:
        return sha256_of_bytes(json.dumps([self._hashes[name], *asked], sort_keys=True).encode())

    def _note(self, key: str, names: dict[str, Any], said: Any) -> None:
        self._lines.add({**names, "said": said, "asked": key})
        self._said[key] = said

    def pulls(self, point: Point, retentions: Sequence[float], asked: Sequence[tuple[str, Seed]]) -> Iterator[Pull]:
        common = ("gradients", point.to_json(), list(retentions))
        keys = [self._key(name, *common, list(seed)) for name, seed in asked]
        missing = [one for one, key in zip(asked, keys, strict=True) if key not in self._said]
        answers = self._place.pulls(point, retentions, missing)
        for (name, seed), key in zip(asked, keys, strict=True):
            if key not in self._said:
                self._note(key, {"document": name, "seed": list(seed)}, pull_to_json(next(answers)))
            yield self._pull(key, len(retentions), len(point.directions.all))

    def divergences(
        self, asked: Sequence[tuple[str, Sequence[str]]], retentions: Sequence[float]
    ) -> Iterator[list[Doubles]]:
        keys = {
            (name, one): self._key(name, "kl", one, list(retentions)) for name, formulas in asked for one in formulas
        }
        missing = [(name, [one for one in formulas if keys[name, one] not in self._said]) for name, formulas in asked]
        answers = self._place.divergences(missing, retentions)
        for (name, formulas), (_, new) in zip(asked, missing, strict=True):
            for formula, kl in zip(new, next(answers), strict=True):
                self._note(keys[name, formula], {"document": name, "formula": formula}, kl.tolist())
            yield [self._kl(keys[name, formula], len(retentions)) for formula in formulas]

    def _pull(self, key: str, retentions: int, directions: int) -> Pull:
        try:
            return pull_from(self._said[key], retentions, directions)
        except ToolError:
            raise self._lines.foreign() from None

    def _kl(self, key: str, retentions: int) -> Doubles:
        try:
            found = np.array(self._said[key], np.float64)
        except (TypeError, ValueError):
            found = np.zeros(0)
        if found.shape != (retentions,):
            raise self._lines.foreign()
        return found
