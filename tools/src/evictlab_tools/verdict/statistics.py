"""Means over documents and their uncertainty: a paired bootstrap, in which every row is drawn on the same documents."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
DRAWS = 10_000
SEED = 95
SMALLEST = 1e-12  # what is zero but for rounding has no logarithm
DOCUMENTS_FOR_A_CLAIM = 6  # all of fewer lie on one side by chance in more than 5 % of the cases


@dataclass(frozen=True)
class Estimate:
    value: float
    low: float | None = None  # the 95 % interval; None for fewer than two documents
    high: float | None = None


@cache
def _draws(documents: int) -> NDArray[np.int64]:
    """[draw][document]: the same for every row, by a counter-based generator."""
    generator = np.random.Generator(np.random.Philox(key=SEED))
    return generator.integers(0, documents, (DRAWS, documents))


def mean(values: Values) -> Estimate:
    """Of one value a document, with percentile intervals."""
    if len(values) < 2:
        return Estimate(float(values.mean()))
    means = values[_draws(len(values))].mean(1)
    low, high = np.quantile(means, (0.025, 0.975))
    return Estimate(float(values.mean()), float(low), float(high))


def _logarithm(values: Values) -> Values:
    return np.log(np.maximum(values, SMALLEST))


def geometric_mean(values: Values) -> Estimate:
    return _exponential(mean(_logarithm(values)))


def ratio(values: Values, best: Values) -> Estimate:
    """The geometric mean of one row over that of another, on the same documents."""
    return _exponential(mean(_logarithm(values) - _logarithm(best)))


def _exponential(logarithm: Estimate) -> Estimate:
    low, high = (None if bound is None else float(np.exp(bound)) for bound in (logarithm.low, logarithm.high))
    return Estimate(float(np.exp(logarithm.value)), low, high)


def ranks(values: Values) -> Values:
    """From 0; equals share the mean of their places."""
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(count) - 1.0
    shared: Values = (last - (count - 1) / 2)[place]
    return shared


def spearman(a: Values, b: Values) -> float:
    """Rank correlation; NaN where one side is constant."""
    x, y = (ranks(values) - (len(values) - 1) / 2 for values in (a, b))
    size = float(np.sqrt((x @ x) * (y @ y)))
    return float(x @ y) / size if size > 0 else float("nan")
