"""What a scorer costs beside its figures: the time that scoring takes, and what the cache holds."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

from evictlab_tools.library import LayerColumns, LayerInput, Scorer


@dataclass(frozen=True)
class Cost:
    """By the clock: of one machine and one run, and no part of what a figure follows from."""

    microseconds: float  # of scoring, a token of the prompt and layer, with the scorer's columns as if it were alone
    measured_on: str  # processor and threads

    def to_json(self) -> dict[str, Any]:
        return {"microseconds": self.microseconds, "measured_on": self.measured_on}


@dataclass(frozen=True)
class CacheShape:
    """What eviction acts on."""

    numbers: int  # of keys and values, a token and layer, all KV heads
    evicted_layers: int
    layers: int  # that the model has


POSITION_BYTES = 4  # of a token in a head of a RaggedCache


def kept_bytes(cache: CacheShape, prompt: int, kept: int, cached: int, value_bytes: float, uneven: bool) -> float:
    """What one document's cache holds behind its prompt in the layers that evict, of `cached` tokens in their heads.

    Where heads keep different numbers they hold each token's position, too, as in a RaggedCache.
    """
    of_token = value_bytes * cache.numbers * cache.evicted_layers * prompt / cached
    return kept * (of_token + (POSITION_BYTES if uneven else 0))


def processor_name() -> str:
    """As the system names it; its architecture where there is no name."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(": ")[2] for line in lines if line.startswith("model name")]
    return next(filter(None, names), platform.machine() or "unknown processor")


def time_scoring(
    scorer: Scorer, layer: Callable[[], LayerInput | LayerColumns], removed: float, device: str = ""
) -> Cost:
    """Of one layer, on this thread, without columns that others have computed before; `device`: PyTorch's."""
    begun = perf_counter()
    given = layer()
    if scorer.needs.model_budgets:
        scorer.model([removed]).add(given)
    else:
        scorer.keep(given, [removed])
    passed = perf_counter() - begun
    tokens = given.tokens if isinstance(given, LayerColumns) else given.k.shape[1]
    place = f"PyTorch on {device}" if device else f"{processor_name()}, 1 thread"
    return Cost(1e6 * passed / tokens, place)


def mean_cost(costs: Sequence[Cost]) -> Cost | None:
    """Over documents, of those that were measured where the last one was."""
    if not costs:
        return None
    place = costs[-1].measured_on
    here = [cost.microseconds for cost in costs if cost.measured_on == place]
    return Cost(sum(here) / len(here), place)
