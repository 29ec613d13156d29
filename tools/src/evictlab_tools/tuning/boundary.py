"""Which tokens stand at the boundary of what is kept, and how a change of scores moves them over it.

A top-K set has no derivative, so each token gets a weight: the slope of a sigmoid of its score about the threshold that
lies between the K-th and the next. It is as wide as the scores of a share of K tokens on each side, whatever their
scale.

What a token is worth is compared with tokens of its own side alone. At the margin an evicted token is worth more than
an equal one that is kept, for what that one mends is mended; compared with each other they would only say that all
differences between scores should be smaller.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SIDE = 0.1  # of K: how many tokens on each side make the width of the sigmoid
NOISE = 0.5  # of a sigmoid's width, on scores, so that not always the same tokens stand at the boundary
REACH = 1.5  # of K: tokens that are looked at; further ones have weights that are nearly 0
LEAST = 1e-3  # of a head's largest weight: smaller ones count as 0

Doubles = NDArray[np.float64]


@dataclass(frozen=True)
class Boundary:
    """Of one set and budget."""

    places: NDArray[np.int64]  # [H_kv][c]
    kept: NDArray[np.bool_]  # [H_kv][c]
    weights: Doubles  # [H_kv][c]: by how much the token's being kept grows with its score
    shared: bool = False  # by all heads


def boundary(scores: Doubles, count: int, random: np.random.Generator, *, shared: bool = False) -> Boundary:
    """Of scores [H_kv][n], `count` of which are kept in each head, or in all that share the budget."""
    ranked = -np.sort(-(scores.reshape(1, -1) if shared else scores), axis=-1)
    n = ranked.shape[-1]
    side = max(1, int(SIDE * count))
    low, high = min(count, n - 1), count - 1
    with np.errstate(invalid="ignore"):
        width = (ranked[:, max(high - side, 0)] - ranked[:, min(low + side, n - 1)])[:, None] / 2
    middle = (ranked[:, [high]] + ranked[:, [low]]) / 2
    usable = np.isfinite(width) & (width > 0) & np.isfinite(middle)  # else all are kept, or kept anyway, or alike
    width, middle = np.where(usable, width, 1.0), np.where(usable, middle, 0.0)
    noisy = scores + NOISE * width * random.logistic(size=scores.shape)
    reach = min(n, int(REACH * count) + 1)
    kept_of, reach_of = (_best(noisy, many) if shared else many for many in (count, reach))
    places = np.argsort(-noisy, axis=-1, kind="stable")[:, : np.max(reach_of)]
    kept = np.broadcast_to(np.arange(places.shape[1]) < kept_of, places.shape)
    distance = (np.take_along_axis(scores, places, -1) - middle) / width
    weights = np.where(usable, 0.25 / np.cosh(np.clip(distance, -50, 50) / 2) ** 2 / width, 0.0)
    return Boundary(places, kept, weights, shared)


def _best(scores: Doubles, count: int) -> NDArray[np.int64]:
    """[H_kv][1]: how many of the `count` highest of all scores [H_kv][n] lie in each head."""
    best = np.argsort(-scores, axis=None, kind="stable")[:count]
    return np.bincount(best // scores.shape[-1], minlength=len(scores))[:, None]


@dataclass(frozen=True)
class Standing:
    """The tokens of all heads whose weights count, one after another [t]."""

    near: NDArray[np.bool_]  # [H_kv][c], of the boundary's: which they are
    heads: NDArray[np.int64]
    places: NDArray[np.int64]
    weights: Doubles
    sides: Doubles  # [t][2 * budgets]: 1 where the token is of that budget and side, else 0


def standing(at: Boundary) -> Standing:
    near = at.weights > LEAST * at.weights.max(None if at.shared else -1, keepdims=True)
    heads, _ = np.nonzero(near)
    budgets = np.zeros_like(heads) if at.shared else heads
    sides = np.eye(2 if at.shared else 2 * len(near))[2 * budgets + at.kept[near]]
    return Standing(near, heads, at.places[near], at.weights[near], sides)


def side_deviations(at: Standing, values: Doubles) -> Doubles:
    """Values [...][t] less their mean, by the tokens' weights, over the tokens of the same budget and side."""
    shares = at.sides * at.weights[:, None]
    total = shares.sum(0)
    deviations: Doubles = values - (values @ (shares / np.where(total > 0, total, 1.0))) @ at.sides.T
    return deviations
