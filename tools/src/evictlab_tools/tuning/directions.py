"""The ways in which tuning may change a formula, and the formula that a step along them gives.

A constant may move, alone or with the layer, and a term may come in, alone or with the layer: four kinds of numbers in
which a formula is written anew. "With the layer" is a factor of layer_ratio - 1/2, so that what is gained in one half
of the model is not paid for in the other.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from evictlab_tools.errors import ToolError
from evictlab_tools.library import Lab, Scorer
from evictlab_tools.tuning.boundary import Doubles
from evictlab_tools.tuning.constants import Constants, number
from evictlab_tools.verdict.judge import DocumentRun

DIFFERENCE = 1e-4  # of a constant's size, to take derivatives by
ZERO = 1e-3  # the size of a constant that is 0
DIGITS = 4  # significant, of what is written
LARGEST = 0.5  # of its size, that a step moves a constant by at most, in any layer
MIDDLE = 0.5  # of layer_ratio

# What a term may be: signals in their own units, combinations of two that the units allow, and ranks for what has none;
# enough to begin from a single one. The token's type is not among them: a kvpress press is not told it.
TERMS = """
observed_attn  sqrt(observed_attn)  attn_entropy  expected_attn  expected_attn:mean  window_attn:16  window_attn:64
window_attn:256  window_attn:64:pool=5:avg  window_attn:64:pool=15:avg  window_max:64  window_std:64  window_std:256
defensive_attn:64:pool=5  last_attn:all  replayed_attn:64  replayed_attn:all  replayed_attn:64:rms
replayed_attn:256:rms  replayed_attn:all:rms  sqrt(observed_attn*expected_attn)
sqrt(window_attn:64:pool=5:avg*expected_attn)  sqrt(expected_attn*replayed_attn:256:rms)
min(expected_attn,window_attn:64)  min(window_attn:64,observed_attn)  observed_attn*rank:wov_norm
expected_attn*rank:wov_norm  replayed_attn:256:rms*rank:wov_norm  observed_attn*rank:value_norm
observed_attn*rank:lag_value  expected_attn*rank:key_norm  expected_attn*rank:key_cos  rank:wov_norm
rank:value_norm  rank:key_norm  rank:lag_key  rank:lag_value:32  rank:key_cos  rank:key_cos^2  rank:observed_attn
rank:expected_attn  rank:window_attn:64:pool=5:avg  rank:cumulative_attn  rank:wov_norm*rank:observed_attn
max(rank:key_norm-0.8,0)  max(0.2-rank:key_norm,0)  relative_age  exp(-relative_pos/32)  exp(-relative_pos/200)
1/(relative_pos+1)  relative_pos<64  1/(position+1)  position<4
""".split()


@dataclass(frozen=True)
class Direction:
    """Of a constant (its index) or of a term (its text)."""

    what: int | str
    with_layer: bool


class Directions:
    """All that one formula has. A position [direction] says how far the formula is moved along each: (0, 0, ...) is the
    formula itself. Positions stay comparable however far one goes, and so do slopes at them.
    """

    def __init__(self, lab: Lab, formula: str, terms: Sequence[str]) -> None:
        self._lab = lab
        self._text = formula
        self._constants = Constants.of(formula)
        self._count = len(self._constants.values)
        whats: list[int | str] = [*range(self._count), *dict.fromkeys(terms)]
        self.all = [Direction(what, layer) for layer in (False, True) for what in whats]
        self._term_texts = [what for what in whats if isinstance(what, str)]
        self.terms = [open_term(lab, what) for what in self._term_texts]

    @property
    def origin(self) -> Doubles:
        return np.zeros(len(self.all))

    def taken(self, position: Doubles) -> list[int]:
        """The directions that take part in every step from there: the constants alone, and what has come in."""
        return [at for at, moved in enumerate(position) if at < self._count or moved != 0]

    def moved(self, position: Doubles, step: Doubles) -> Doubles:
        """The position after a step, but a constant moves by LARGEST of itself at most: a slope says nothing of what is
        far away, and where a constant hardly matters, as in exp(-relative_pos/200), a short step leads far beyond.
        """
        end: Doubles = position + step
        for at, direction in enumerate(self.all):
            if isinstance(direction.what, int):
                value = self._constants.values[direction.what] + float(position[direction.what])
                most = LARGEST * (abs(value) or ZERO) / (MIDDLE if direction.with_layer else 1.0)
                end[at] = position[at] + np.clip(step[at], -most, most)
        return end

    def formula(self, position: Doubles, digits: int | None = DIGITS) -> str:
        """In so many significant digits of what is moved; None: in all."""
        step = {one: by for one, by in zip(self.all, position.tolist(), strict=True) if by != 0}

        def written(what: int | str, value: float) -> str:
            slope = step.get(Direction(what, True), 0.0)
            moved = value + step.get(Direction(what, False), 0.0) - MIDDLE * slope
            if moved == value and slope == 0:
                return number(value)
            sign = "" if slope < 0 else "+"
            return number(moved, digits) + (f"{sign}{number(slope, digits)}*layer_ratio" if slope != 0 else "")

        def factor(text: str) -> str:
            return f"({text})" if "layer_ratio" in text else text

        text = self._constants.formula([factor(written(i, value)) for i, value in enumerate(self._constants.values)])
        new = dict.fromkeys(direction.what for direction in step if isinstance(direction.what, str))
        terms = [f"({written(what, 0.0)})*({what})" for what in new]
        return " + ".join([f"({text})" if new else text, *terms])

    def at(self, position: Doubles) -> Point:
        return Point(self._lab, self, position)

    def to_json(self) -> dict[str, Any]:
        return {"formula": self._text, "terms": self._term_texts}

    def differences(self, position: Doubles) -> list[tuple[str, float]]:
        """By constant: the formula where it is a little larger, and how much."""
        moved = []
        for at, value in enumerate(self._constants.values):
            other = position.copy()
            step = DIFFERENCE * (abs(value + position[at]) or ZERO)
            other[at] += step
            moved.append((self.formula(other, None), step))
        return moved


class Point:
    """A position with what derivatives there need. Threads may share it."""

    def __init__(self, lab: Lab, directions: Directions, position: Doubles) -> None:
        self.directions, self.position = directions, position
        self.scorer = lab.open("=" + directions.formula(position, None))
        self._moved = [(lab.open("=" + formula), step) for formula, step in directions.differences(position)]

    @property
    def formula(self) -> str:
        return self.directions.formula(self.position)

    def to_json(self) -> dict[str, Any]:
        return {**self.directions.to_json(), "position": self.position.tolist()}

    @staticmethod
    def from_json(lab: Lab, said: Mapping[str, Any]) -> Point:
        """ToolError where it is none that to_json() made."""
        formula, terms, position = (said.get(name) for name in ("formula", "terms", "position"))
        texts = isinstance(formula, str) and isinstance(terms, list) and all(isinstance(term, str) for term in terms)
        if not texts or not isinstance(position, list):
            raise ToolError('"gradients" has no "formula", "terms" and "position"')
        directions = Directions(lab, str(formula), list(terms or ()))
        try:
            at = np.array(position, np.float64)
        except (TypeError, ValueError):
            at = np.zeros(0)
        if at.shape != directions.origin.shape or not np.isfinite(at).all():
            raise ToolError(f'"gradients.position" is not {len(directions.all)} numbers')
        return directions.at(at)

    def prepare(self, run: DocumentRun) -> None:
        for scorer in (self.scorer, *self.directions.terms):
            run.prepare(scorer)

    def slopes(self, run: DocumentRun, layer: int, scores: Doubles) -> Doubles:
        """Of one layer: derivatives along the first half of `all` [direction][H_kv][n] of the formula's scores
        [H_kv][n]. Those along the other half are layer_factor times these."""

        def scored(scorer: Scorer) -> Doubles:
            return scorer.score(run.layer_input(layer, scorer))

        with np.errstate(invalid="ignore"):
            moved = [(scored(scorer) - scores) / step for scorer, step in self._moved]
        found = np.stack([*moved, *map(scored, self.directions.terms)])
        found[~np.isfinite(found)] = 0.0  # where tokens are kept or evicted whatever the constants are
        return found


def layer_factor(run: DocumentRun, layer: int) -> float:
    return layer / run.judge.source.num_layers - MIDDLE


def open_term(lab: Lab, text: str) -> Scorer:
    try:
        return lab.open("=" + text)
    except ToolError as error:
        raise ToolError(f"term {text}: {error}") from None
