"""How far a model's predictions lie from those of its run without eviction."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor


@dataclass(frozen=True)
class Predictions:
    """Of the run without eviction: logits [m][vocabulary]."""

    logits: Tensor

    @cached_property
    def normalisers(self) -> list[Tensor]:
        """Logarithm of the sum of exponentials, of each position; in double."""
        return [row.double().logsumexp(-1) for row in self.logits]


@torch.inference_mode()
def by_position(full: Predictions, evicted: Tensor, targets: Sequence[int]) -> tuple[list[float], list[float]]:
    """KL(full || evicted) at each position, and the change of the negative log-likelihood of each target.

    Target i is what follows position i, and the last position may have none. The arithmetic is in double: in float the
    rounding of the normalisers alone is 1e-6 of small divergences. A position at a time, so that it stays in the cache.
    """
    divergences, changes = [], []
    for i, (full_row, evicted_row) in enumerate(zip(full.logits, evicted, strict=True)):
        p, q, normaliser = full_row.double(), evicted_row.to(full_row.device).double(), full.normalisers[i]
        shift = q.logsumexp(-1) - normaliser
        difference = p - q
        divergences.append(float(torch.dot((p - normaliser).exp_(), difference) + shift))
        if i < len(targets):
            changes.append(float(difference[targets[i]] + shift))
    return divergences, changes


def compare(full: Predictions, evicted: Tensor, targets: Sequence[int]) -> tuple[float, float]:
    """Both, as means over positions and over targets."""
    divergences, changes = by_position(full, evicted, targets)
    divergence = change = 0.0
    for value in divergences:  # one after another: sum() rounds otherwise
        divergence += value
    for value in changes:
        change += value
    return divergence / full.logits.shape[0], change / len(targets) if targets else 0.0
