"""A prompt that is read once, and what scorers would keep of it at several retentions."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import DynamicCache

from evictlab_tools.library import Model
from evictlab_tools.press import EvictlabPress

Clock = Callable[[], float]  # seconds


@dataclass
class Noted(EvictlabPress):
    """Evicts nothing, and notes what its scorer would keep, and how long scoring took."""

    removed: tuple[float, ...] = ()
    clock: Clock = lambda: 0.0
    seconds: float = 0.0
    masks: dict[int, NDArray[np.bool_]] = field(default_factory=dict)  # by layer: [retention][H_kv][n]
    model: Model | None = None

    def compress(
        self, module: Any, hidden_states: Tensor, keys: Tensor, values: Tensor, attentions: Any, kwargs: dict[str, Any]
    ) -> tuple[Tensor, Tensor]:
        begun = self.clock()
        layer = self.layer(module, hidden_states, keys, values, kwargs)
        if not layer.left_alone:
            (given,) = self._given(layer)
            if self._scorer.needs.model_budgets:
                self.model = self.model or self._scorer.model(self.removed)
                self.model.add(given)
                self.masks[module.layer_idx] = np.ones(0, np.bool_)
            else:
                self.masks[module.layer_idx] = self._scorer.keep(given, self.removed).mask
        self.seconds += self.clock() - begun
        return keys, values

    def kept(self) -> list[dict[int, Tensor]]:
        """By retention and layer, bool [1][H_kv][n]."""
        if self.model is not None:
            self.masks = {number: self.model.keep(number).mask for number in self.masks}
        return [
            {number: torch.from_numpy(masks[at])[None] for number, masks in self.masks.items()}
            for at in range(len(self.removed))
        ]


@dataclass(frozen=True)
class Prompt:
    cache: DynamicCache  # whole
    seconds: float  # of reading it, without scoring
    scoring: tuple[float, ...]  # seconds, by scorer
    kept: tuple[list[dict[int, Tensor]], ...]  # by scorer, retention and layer


def read_prompt(model: Any, ids: Tensor, presses: Sequence[Noted], clock: Clock) -> Prompt:
    cache, begun = DynamicCache(), clock()
    with torch.inference_mode(), ExitStack() as contexts:
        for press in presses:
            contexts.enter_context(press(model))
        model(input_ids=ids, past_key_values=cache, logits_to_keep=1)
    scoring = tuple(press.seconds for press in presses)
    return Prompt(cache, clock() - begun - sum(scoring), scoring, tuple(press.kept() for press in presses))
