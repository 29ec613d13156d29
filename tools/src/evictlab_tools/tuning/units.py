"""What is kept or evicted in one piece at a shape: a head's token, or a block that a layer's or all heads share.

Scores of those who share a set are joined by their mean, and a block's score is its tokens' (docs/shapes.md); both are
straight lines, so derivatives of scores are joined alike, and what a unit is worth is the sum over its tokens.

Where heads, or those of all layers, share a budget and not a set, each has its own tokens, but one boundary is theirs.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evictlab_tools.errors import UsageError
from evictlab_tools.shapes import Shape, blocks_kept, kept_count
from evictlab_tools.tuning.boundary import Boundary, Doubles
from evictlab_tools.tuning.budgets import UNIFORM

Tokens = tuple[NDArray[np.int64], NDArray[np.bool_]]  # [row][c]: where they are, and which are kept


def check_gradients(shape: Shape, budgets: str = UNIFORM) -> None:
    """UsageError where a shape has no derivatives of this kind."""
    said = ""
    if budgets != UNIFORM and not shape.usual:
        said = f"--budgets {budgets} with a shape"
    elif shape.granularity != "head" and shape.join != "mean":
        said = f"--join {shape.join}"
    elif shape.block > 1 and shape.block_score != "mean":
        said = f"--block-score {shape.block_score}"
    elif shape.block > 1 and shape.granularity == "head":
        said = "--block without --granularity layer or model"
    elif shape.sinks or shape.recent:
        said = "--sinks or --recent"
    if said:
        raise UsageError(f"{said} has no gradients: tune without, and judge what comes out with it")


@dataclass(frozen=True)
class Units:
    """Of a prompt of so many tokens in `layers`, at a shape that has gradients."""

    shape: Shape
    tokens: int
    layers: tuple[int, ...]
    budgets: str = UNIFORM

    @property
    def sets(self) -> list[tuple[int, ...]]:
        """Layers that are cut together."""
        together = "model" in (self.shape.granularity, self.budgets)
        return [self.layers] if together else [(number,) for number in self.layers]

    @property
    def alone(self) -> bool:
        """Whether each head has tokens of its own."""
        return self.shape.granularity == "head"

    @property
    def shared(self) -> bool:
        """Whether a set's rows have one budget together."""
        return self.budgets != UNIFORM

    def count(self, retention: float, rows: int) -> int:
        """Units that stay of a row; of so many rows where they share a budget."""
        return blocks_kept(self.tokens, kept_count(self.tokens, 1 - retention), self.shape) * (
            rows if self.shared else 1
        )

    def scores(self, by_layer: Sequence[Doubles]) -> Doubles:
        """[row][unit], of the scores [H_kv][n] of a set's layers. +inf of anyone decides, then -inf."""
        rows = np.concatenate(by_layer)
        if self.alone:
            return rows
        finite = np.where(np.isfinite(rows), rows, 0.0)
        always, never = ((rows == infinite).any(0) for infinite in (np.inf, -np.inf))
        first, many = self._starts, self._lengths
        joined = np.add.reduceat(finite.mean(0), first) / many
        joined = np.where(np.logical_or.reduceat(never, first), -np.inf, joined)
        return np.where(np.logical_or.reduceat(always, first), np.inf, joined)[None]

    def share(self, slopes: Doubles, heads: int) -> Doubles:
        """What a layer's derivatives [...][H_kv][n] add to those of units [...][row][unit], of so many heads in all."""
        if self.alone:
            return slopes
        joined: Doubles = np.add.reduceat(slopes.sum(-2, keepdims=True), self._starts, axis=-1)
        joined /= heads * self._lengths
        return joined

    def join(self, slopes: Sequence[Doubles]) -> Doubles:
        """Of derivatives [...][row][unit] that layers of a set add, those of the set."""
        joined: Doubles = np.concatenate(slopes, axis=-2) if self.alone else np.sum(slopes, axis=0)
        return joined

    def chosen(self, at: Boundary) -> Tokens:
        """Tokens [row][c] of the boundary's units, one unit's after another's, and bool [row][c]: which are kept."""
        if self.shape.block == 1:
            return at.places, at.kept
        units = at.places[0]
        places = np.concatenate([np.arange(self._starts[u], self._starts[u] + self._lengths[u]) for u in units])
        return places[None], np.repeat(at.kept[0], self._lengths[units])[None]

    def split(self, at: Boundary, layers: Sequence[int]) -> list[tuple[int, Tokens]]:
        """What of `chosen` is each layer's, by its number."""
        places, kept = self.chosen(at)
        if not self.alone:
            return [(number, (places, kept)) for number in layers]
        parts = zip(np.split(places, len(layers)), np.split(kept, len(layers)), strict=True)
        return list(zip(layers, parts, strict=True))

    def worth(self, at: Boundary, of_tokens: Mapping[int, Doubles], layers: Sequence[int]) -> Doubles:
        """[row][unit of the boundary], of derivatives [H_kv][c] by what is kept in each of a set's layers."""
        if self.alone:
            return np.concatenate([of_tokens[number] for number in layers])
        total: Doubles = np.sum([of_tokens[number].sum(0) for number in layers], axis=0)
        ends = np.cumsum(self._lengths[at.places[0]])
        summed: Doubles = np.add.reduceat(total, np.concatenate(([0], ends[:-1])))
        return summed[None]

    @property
    def _starts(self) -> NDArray[np.int64]:
        return np.arange(0, self.tokens, self.shape.block)

    @property
    def _lengths(self) -> NDArray[np.int64]:
        return np.minimum(self._starts + self.shape.block, self.tokens) - self._starts
