"""Who computes scores: libevictlab on the CPU, or PyTorch where the model is."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

from dataclasses import dataclass, field
from threading import Lock
from typing import Any

from evictlab_tools.device import DeviceConfig
from evictlab_tools.errors import UsageError
from evictlab_tools.library import Scorer
from evictlab_tools.scoring.torch_scorer import TorchScorer


def prefers_torch(scoring: str, device: str) -> bool:
    """On a device of that kind."""
    if scoring == "torch" and device == "mps":
        raise UsageError("--scoring torch: MPS has no double precision, which sums are in; --scoring native works")
    return scoring == "torch" or (scoring == "auto" and device not in ("cpu", "mps"))


@dataclass(frozen=True)
class Scoring:
    """One choice for all scorers of a command. Threads may share it."""

    asked: str = "auto"
    torch: bool = False  # what it came to
    _made: dict[str, TorchScorer | None] = field(default_factory=dict, compare=False, repr=False)
    _lock: Any = field(default_factory=Lock, compare=False, repr=False)

    @property
    def said(self) -> dict[str, Any]:
        """What results and journals say; nothing where libevictlab scores."""
        return {"scoring": "torch"} if self.torch else {}

    def of(self, scorer: Scorer) -> TorchScorer | None:
        """None: libevictlab scores it. UsageError where torch was asked for and cannot be had."""
        if not self.torch:
            return None
        with self._lock:
            if scorer.hash not in self._made:
                try:
                    self._made[scorer.hash] = TorchScorer(scorer)
                except UsageError:
                    if self.asked == "torch":
                        raise
                    self._made[scorer.hash] = None
            return self._made[scorer.hash]


NATIVE = Scoring("native")


def scoring_on(asked: str, device: DeviceConfig) -> Scoring:
    """For a model that runs so."""
    return Scoring(asked, prefers_torch(asked, device.kind))
