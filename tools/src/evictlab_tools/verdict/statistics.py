"""Means over documents with the intervals that `evictlab report` has, and rank correlation."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evictlab_tools.binding import Library

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Estimate:
    value: float
    low: float  # the 95 % interval over documents; NaN for one document
    high: float

    def text(self, form: str) -> str:
        interval = "" if np.isnan(self.low) else f" [{self.low:{form}}, {self.high:{form}}]"
        return f"{self.value:{form}}{interval}"


def mean(library: Library, values: Values) -> Estimate:
    """Of one value a document; NaN where one is no number."""
    if not np.isfinite(values).all():
        return Estimate(np.nan, np.nan, np.nan)
    return Estimate(*library.mean_interval(values.tolist()))


def ratio(library: Library, logarithms: Values) -> Estimate:
    """The geometric mean of ratios, one a document, by their logarithms."""
    found = mean(library, logarithms)
    return Estimate(*(float(np.exp(value)) for value in (found.value, found.low, found.high)))


Z = 1.959963984540054  # of a 95 % interval


def wilson(share: float, examples: float) -> Estimate:
    """A share of so many examples with Wilson's interval, which has a width where all of few examples agree. Of
    examples that can be partly right it is too wide rather than too narrow."""
    scale, middle = 1 / (1 + Z * Z / examples), share + Z * Z / (2 * examples)
    half = Z * float(np.sqrt(share * (1 - share) / examples + Z * Z / (4 * examples * examples)))
    return Estimate(share, max(0.0, scale * (middle - half)), min(1.0, scale * (middle + half)))


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
