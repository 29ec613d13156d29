"""The ways in which tuning may change a formula, and the formula that a step along them gives.

A constant may move, alone or with the layer, and a term may come in, alone or with the layer: four kinds of numbers in
which a formula is written anew. "With the layer" is a factor of layer_ratio - 1/2, so that what is gained in one half
of the model is not paid for in the other.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from evictlab_tools.errors import ToolError
from evictlab_tools.library import Lab, Scorer
from evictlab_tools.tuning.boundary import Doubles
from evictlab_tools.tuning.constants import Constants, number
from evictlab_tools.verdict.judge import DocumentRun

DIFFERENCE = 1e-4  # of a constant's size, to take derivatives by
ZERO = 1e-3  # the size of a constant that is 0
DIGITS = 4  # significant, of what is written
MIDDLE = 0.5  # of layer_ratio

# What a term may be: signals in their own units, combinations of two that the units allow, and ranks for what has none.
TERMS = """
observed_attn  sqrt(observed_attn)  attn_entropy  expected_attn:mean  window_attn:16  window_attn:256
window_attn:64:pool=15:avg  window_max:64  window_std:64  window_std:256  last_attn:all  replayed_attn:64
replayed_attn:all  sqrt(observed_attn*expected_attn)  sqrt(window_attn:64:pool=5:avg*expected_attn)
min(expected_attn,window_attn:64)  min(window_attn:64,observed_attn)  observed_attn*rank:wov_norm
expected_attn*rank:wov_norm  replayed_attn:256:rms*rank:wov_norm  observed_attn*rank:value_norm
observed_attn*rank:lag_value  expected_attn*rank:key_norm  expected_attn*rank:key_cos  (token_type==0)*expected_attn
(token_type==1)*observed_attn  (token_type==3)*observed_attn  rank:wov_norm  rank:value_norm  rank:key_norm
rank:lag_key  rank:lag_value:32  rank:key_cos^2  rank:observed_attn  rank:expected_attn
rank:window_attn:64:pool=5:avg  rank:cumulative_attn  rank:wov_norm*rank:observed_attn  max(rank:key_norm-0.8,0)
max(0.2-rank:key_norm,0)  token_type==1  token_type==3  relative_age  exp(-relative_pos/32)  exp(-relative_pos/200)
relative_pos<64  1/(position+1)
""".split()


@dataclass(frozen=True)
class Direction:
    """Of a constant (its index) or of a term (its text)."""

    what: int | str
    with_layer: bool


class Directions:
    """All that one formula has. Threads may share it once it is made."""

    def __init__(self, lab: Lab, formula: str, terms: Sequence[str]) -> None:
        self._constants = Constants.of(formula)
        values = self._constants.values
        whats: list[int | str] = [*range(len(values)), *dict.fromkeys(terms)]
        self.all = [Direction(what, layer) for layer in (False, True) for what in whats]
        self._steps = [DIFFERENCE * (abs(value) or ZERO) for value in values]
        moved = [[value + step * (i == at) for i, value in enumerate(values)] for at, step in enumerate(self._steps)]
        self.scorer = lab.open("=" + formula)
        self._moved = [lab.open("=" + self._constants.formula([number(v) for v in each])) for each in moved]
        self._terms = [_open_term(lab, what) for what in whats if isinstance(what, str)]

    @property
    def moving(self) -> list[int]:
        """The constants, in `all`: they take part in every step."""
        return list(range(len(self._moved)))

    def along(self, step: Doubles, length: float) -> str:
        """The formula after a step [direction], `length` times."""
        return self.formula({one: length * by for one, by in zip(self.all, step, strict=True) if by != 0})

    def prepare(self, run: DocumentRun) -> None:
        for scorer in (self.scorer, *self._terms):
            run.prepare(scorer)

    def slopes(self, run: DocumentRun, layer: int, scores: Doubles) -> Doubles:
        """Of one layer: derivatives along `all` [direction][H_kv][n] of the formula's scores [H_kv][n]."""

        def scored(scorer: Scorer) -> Doubles:
            return scorer.score(run.layer_input(layer, scorer))

        with np.errstate(invalid="ignore"):
            moved = [(scored(one) - scores) / step for one, step in zip(self._moved, self._steps, strict=True)]
        plain = np.stack([*moved, *map(scored, self._terms)])
        plain[~np.isfinite(plain)] = 0.0  # where tokens are kept or evicted whatever the constants are
        return np.concatenate((plain, (layer / run.judge.source.num_layers - MIDDLE) * plain))

    def formula(self, step: Mapping[Direction, float]) -> str:
        """With each constant and term moved by so much."""

        def written(what: int | str, value: float) -> str:
            slope = step.get(Direction(what, True), 0.0)
            moved = value + step.get(Direction(what, False), 0.0) - MIDDLE * slope
            if moved == value and slope == 0:
                return number(value)
            value = moved
            return number(value, DIGITS) if slope == 0 else f"({number(value, DIGITS)}{slope:+.{DIGITS}g}*layer_ratio)"

        text = self._constants.formula([written(i, value) for i, value in enumerate(self._constants.values)])
        new = dict.fromkeys(direction.what for direction in step if isinstance(direction.what, str))
        terms = [f"{_in_parentheses(written(what, 0.0))}*({what})" for what in new]
        return " + ".join([_in_parentheses(text) if new else text, *terms])


def _in_parentheses(text: str) -> str:
    return text if text.startswith("(") and text.endswith(")") and ")" not in text[1:-1] else f"({text})"


def _open_term(lab: Lab, text: str) -> Scorer:
    try:
        return lab.open("=" + text)
    except ToolError as error:
        raise ToolError(f"term {text}: {error}") from None
