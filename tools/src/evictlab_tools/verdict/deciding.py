"""Who decides what a layer's cache keeps while decoding: a scorer, in libevictlab, or the oracle."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from evictlab_tools.attention import LayerAttention, wov_l1
from evictlab_tools.cuts import oracle_keeps
from evictlab_tools.layer_cache import LayerCache, Slots
from evictlab_tools.library import Scorer
from evictlab_tools.verdict.judge import DocumentRun


class Decider(Protocol):
    """Of one layer. For one thread at a time."""

    places: Slots  # of the prompt

    def step(self, q: Tensor, k: Tensor, v: Tensor, token_type: int, capacity: int) -> Slots | None:
        """q [H_q][d], k and v [H_kv][d] of the next token, which is cached; what stays, where the cache is cut to
        `capacity`, if that is above 0."""
        ...


class ScorerDecides:
    """Budget of the prompt: `keep` tokens stay, or the share `removed` goes."""

    def __init__(
        self, run: DocumentRun, number: int, scorer: Scorer, *, longest: int, removed: float, keep: int
    ) -> None:
        layer = run.layers[number]
        assert layer.rope is not None
        self._rope = layer.rope
        given = run.layer_input(number, scorer)
        self._projection = None if given.wov_norm is None else run.judge.projection(number, layer)
        self._cache = LayerCache(scorer, given, longest=longest, removed=removed, keep=keep, shape=run.judge.shape)
        self.places = self._cache.places

    def step(self, q: Tensor, k: Tensor, v: Tensor, token_type: int, capacity: int) -> Slots | None:
        norms = None if self._projection is None else wov_l1(self._projection, v[:, None])[:, 0]
        turned_q, turned_k = (self._rope.ordered(x.cpu()).numpy() for x in (q, k))
        return self._cache.step(turned_q, turned_k, v.cpu().numpy(), capacity, token_type=token_type, wov_norm=norms)


class OracleDecides:
    """Keeps what the queries still to come attend to most in the run without eviction. Strong, and no strict bound."""

    def __init__(self, run: DocumentRun, number: int, *, keep: int) -> None:
        self._shape = run.judge.shape
        self._rows = _attention_of_continuation(run.layers[number], run.prompt)  # [H_kv][m][N]
        self._to_come = self._rows.sum(1)
        self._step = 0
        self._positions: Slots = [np.arange(run.prompt) for _ in self._to_come]
        self.places = self._cut(keep) if keep > 0 else self._positions

    def step(self, q: Tensor, k: Tensor, v: Tensor, token_type: int, capacity: int) -> Slots | None:
        self._to_come = self._to_come - self._rows[:, self._step]
        position = self._rows.shape[2] - self._rows.shape[1] + self._step
        self._step += 1
        self._positions = [np.append(row, position) for row in self._positions]
        return self._cut(capacity) if 0 < capacity < len(self._positions[0]) else None

    def _cut(self, capacity: int) -> Slots:
        scores = np.stack([row[places] for row, places in zip(self._to_come, self._positions, strict=True)])
        slots = [np.flatnonzero(row) for row in oracle_keeps(scores, capacity, self._shape)]
        self._positions = [row[stay] for row, stay in zip(self._positions, slots, strict=True)]
        return slots


@torch.no_grad()
def _attention_of_continuation(layer: LayerAttention, prompt: int) -> NDArray[np.float64]:
    """[H_kv][m][N]: summed over the group's heads."""
    heads, tokens, dim = layer.q.shape
    kv_heads = layer.k.shape[0]
    queries = layer.q[:, prompt:tokens].float().cpu().reshape(kv_heads, heads // kv_heads, -1, dim)
    logits = layer.scale * (queries @ layer.k.float().cpu()[:, None].transpose(2, 3))
    age = torch.arange(prompt, tokens)[:, None] - torch.arange(tokens)[None, :]
    seen = (age >= 0) & (age < layer.window) if layer.window > 0 else age >= 0
    weights = logits.masked_fill(~seen, float("-inf")).softmax(-1)
    summed: NDArray[np.float64] = weights.double().sum(1).numpy()
    return summed
