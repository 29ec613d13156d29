"""The step that lowers the divergence most for the tokens that it moves over the boundary: a natural gradient.

Directions resemble each other (all attention does), so slopes alone would follow what they share. The metric, as the
Fisher matrix elsewhere, measures a step by what it does to the kept sets instead.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from evictlab_tools.tuning.boundary import Doubles
from evictlab_tools.tuning.pull import Pull

FADING = 0.5  # by this, what was read counts less with each step that was taken since
RIDGE = 1.0  # of each direction's own metric: how much evidence a direction needs


@dataclass(frozen=True)
class Field:
    """What pulls say together: `slopes` [direction] and `metric` [direction][direction]."""

    slopes: Doubles
    metric: Doubles

    @staticmethod
    def of(pulls: Sequence[Pull], weights: Sequence[float], counts: Sequence[float]) -> Field:
        """The logarithms of the retentions' divergences count by `weights`, pulls by `counts`."""
        share = np.array(weights) / np.sum(weights)
        slopes: Doubles = np.average([share @ pull.slopes for pull in pulls], 0, weights=counts)
        metric: Doubles = np.average([np.einsum("r,rij->ij", share, pull.metric) for pull in pulls], 0, weights=counts)
        return Field(slopes, metric)


class Readings:
    """Pulls of rounds so far. What was read before a step counts on, but less with each step since."""

    def __init__(self) -> None:
        self._pulls: list[Pull] = []
        self._counts: list[float] = []

    def __len__(self) -> int:
        return len(self._pulls)

    def add(self, pulls: Sequence[Pull]) -> None:
        self._pulls += pulls
        self._counts += [1.0] * len(pulls)

    def fade(self) -> None:
        self._counts = [FADING * count for count in self._counts]

    def field(self, weights: Sequence[float]) -> Field:
        return Field.of(self._pulls, weights, self._counts)


def steepest(field: Field, first: Sequence[int], grow: int) -> Doubles:
    """[direction], of length 1 by the metric: along `first` and the `grow` others that add most, each in turn.

    All 0 where nothing along `first` changes a score.
    """
    size: Doubles = np.sqrt(np.diag(field.metric))
    known = size > 0
    scale: Doubles = np.where(known, size, 1.0)
    slopes, metric = field.slopes / scale, field.metric / scale[:, None] / scale[None]
    taken = [at for at in first if known[at]]

    def solved(at: list[int]) -> Doubles:
        ridged = metric[np.ix_(at, at)] + RIDGE * np.eye(len(at))
        return np.asarray(np.linalg.solve(ridged, slopes[at]), np.float64)

    for _ in range(grow):
        left = [at for at in range(len(slopes)) if known[at] and at not in taken]
        if left:
            taken.append(max(left, key=lambda at: float(slopes[[*taken, at]] @ solved([*taken, at]))))
    step: Doubles = np.zeros(len(slopes))
    if taken:
        step[taken] = -solved(taken)
        length = np.sqrt(step @ metric @ step)
        step /= scale * (float(length) or 1.0)
    return step
