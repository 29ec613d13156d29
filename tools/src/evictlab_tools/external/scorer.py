"""A scorer of Python's own, beside those of libevictlab: what is kept of a prompt, and what is known of it."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from evictlab_tools.attention import LayerAttention
from evictlab_tools.errors import ToolError, UsageError
from evictlab_tools.external.function import asked_by, scores_of
from evictlab_tools.external.names import found, origin
from evictlab_tools.external.press import budgets_of, is_press, kept_by_press
from evictlab_tools.library import Needs
from evictlab_tools.shapes import Shape

Masks = Mapping[int, NDArray[np.bool_]]  # by layer: [budgets][H_kv][n]


@dataclass(frozen=True)
class Prompt:
    """What is scored. Layers that are not evicted are not among `layers`."""

    model: torch.nn.Module
    ids: Sequence[int]
    layers: Mapping[int, LayerAttention]
    num_layers: int


class Cutting(Protocol):
    """Takes the highest scores [H_kv][n] by layer, as many of n as are left where these shares go."""

    def __call__(self, scores: Mapping[int, NDArray[np.float64]], removed: Sequence[float], /) -> Masks: ...


class ExternalScorer:
    """By name, `module:Class`: a press (its class, without arguments, or one that was made), or a function.

    Of a press what it keeps is kept; a function's scores are cut as an oracle's are. Not for threads.
    """

    plugin = None
    needs = Needs(0, False, False, False, False, False)

    def __init__(self, text: str) -> None:
        self.text, self._thing = text, found(text)
        self._is_press = is_press(self._thing)
        if not self._is_press and not callable(self._thing):
            raise UsageError(f"scorer '{text}': neither a press nor a function, but {type(self._thing).__name__}")
        if not self._is_press:
            asked_by(text, self._thing)
        self.budgets = budgets_of(self._thing) if self._is_press else "uniform"

    @property
    def origin(self) -> str:
        return origin(self._thing)

    @property
    def hash(self) -> str:
        """Of what decides what it keeps, as far as that can be told."""
        made = "" if isinstance(self._thing, type) else getattr(self._thing, "__qualname__", repr(self._thing))
        return f"python {self.text} {self.origin} {made}".rstrip()

    @property
    def row_class(self) -> dict[str, Any]:
        """Nothing is known of what its code reads: "qkv"."""
        known = {"query_aware": None, "fused_attention": True, "passes": 1, "calibrated": False}
        return {"reads": "qkv", **known, "budgets": self.budgets}

    def check_shape(self, shape: Shape) -> None:
        if self._is_press and not shape.usual:
            raise UsageError(f"scorer '{self.text}': a press chooses each head's tokens by itself, at no other shape")
        if shape.granularity != "head" and shape.join != "mean":
            raise UsageError(f"scorer '{self.text}': its scores are joined by mean alone")

    def keep(self, prompt: Prompt, removed: Sequence[float], cut: Cutting) -> Masks:
        if self._is_press:
            kept = [kept_by_press(self.text, self._thing, prompt.model, prompt.ids, share) for share in removed]
            masks = {number: np.stack([of_layer[number] for of_layer in kept]) for number in prompt.layers}
            self._check_budgets(masks)
            return masks
        scores = {
            number: scores_of(self.text, self._thing, layer, number, prompt.num_layers, len(prompt.ids))
            for number, layer in prompt.layers.items()
        }
        return cut(scores, removed)

    def _check_budgets(self, masks: Masks) -> None:
        """Rows compete within a kind of budgets, so that what it does must be what is said of it."""
        counts = np.stack([mask.sum(-1) for mask in masks.values()])  # [layer][budgets][H_kv]
        totals = counts.sum(-1)
        divides = {"head": bool((counts != counts[..., :1]).any()), "layer": bool((totals != totals[:1]).any())}
        wrong = [kind for kind, does in divides.items() if does and kind not in self.budgets]
        if wrong:
            raise ToolError(
                f"'{self.text}' keeps other numbers of tokens from {' to '.join([wrong[0]] * 2)}, and is taken for one "
                f"with {self.budgets} budgets: say so by an attribute of the class, budgets = "
                f"'{' and '.join(kind for kind, does in divides.items() if does)}'"
            )


def open_external(names: Sequence[str], shape: Shape, *, decodes: bool) -> dict[str, ExternalScorer]:
    """By name. UsageError where one cannot be had so."""
    scorers = {text: ExternalScorer(text) for text in names}
    for text, scorer in scorers.items():
        if decodes:
            raise UsageError(f"scorer '{text}': Python's own run at the end of a prompt; --protocol decode has none")
        scorer.check_shape(shape)
    return scorers
