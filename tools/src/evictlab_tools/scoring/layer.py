"""A layer as the PyTorch forms of columns read it, from queries, keys and values that are at hand.

Forms know it by what prompt.layer.Layer has, too, which asks a module for the same in a press.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from evictlab_tools.prompt.question import Refused, alike
from evictlab_tools.prompt.rotation import Rope
from evictlab_tools.prompt.seen import EXACT, visible

__all__ = ["EXACT", "Layer", "Refused", "alike", "visible"]


@dataclass(eq=False)
class Layer:
    """One layer at the end of a prompt of n tokens, at positions 0 .. n - 1; B sequences.

    Tensors lie on one device, in float32, bfloat16 or float16, and are read where they lie. Not thread-safe.
    """

    index: int
    num_layers: int
    query_heads: int
    keys: Tensor  # [B, H_kv, n, d], as the attention uses them
    values: Tensor  # [B, H_kv, n, d]
    scale: float  # of q k, before the softmax
    rope: Rope | None = None  # None: nothing is turned
    window: int = 0  # query i sees keys j with i - j < window; 0: all j <= i
    asked: Callable[[int, int], Tensor] | None = None  # [B, H_q, last - first, d] of the queries at first .. last - 1
    output_projection: Callable[[], Tensor] | None = None  # W_o [hidden, H_q * d]
    known: dict[Any, Any] = field(default_factory=dict)  # what columns have in common
    start: int = 0

    def __post_init__(self) -> None:
        device = self.keys.device
        rope = self.rope or Rope(torch.zeros(self.keys.shape[-1] // 2))
        order = None if rope.order is None else rope.order.to(device)
        self.known["rope"] = replace(rope, frequencies=rope.frequencies.to(device, EXACT), order=order)

    def refuse(self, what: str, works: str) -> Refused:
        return Refused(f"layer {self.index}: {what}; {works}")

    @property
    def module(self) -> Any:
        """What forms ask of the attention's module."""
        config = SimpleNamespace(num_hidden_layers=self.num_layers, num_attention_heads=self.query_heads)
        return SimpleNamespace(layer_idx=self.index, config=config)

    @property
    def tokens(self) -> int:
        return self.keys.shape[2]

    prompt_tokens = tokens

    @property
    def positions(self) -> Tensor:
        return torch.arange(self.tokens, dtype=EXACT, device=self.keys.device)

    def in_order(self, vectors: Tensor) -> Tensor:
        return vectors

    def number(self, value: float) -> Tensor:
        return torch.full((), value, dtype=EXACT, device=self.keys.device)

    def queries(self, where: slice) -> Tensor:
        """[B, H_q, m, d] of neighbours; read once where they reach to the end."""
        first, held = self.known.get("queries", (self.tokens, None))
        if held is not None and where.start >= first:
            found: Tensor = held[:, :, where.start - first : where.stop - first]
            return found
        if self.asked is None:
            raise self.refuse("its queries are not at hand", "columns of keys and values work")
        queries = self.asked(where.start, where.stop).to(self.keys.device)
        if where.stop == self.tokens:
            self.known["queries"] = (where.start, queries)
        return queries

    def projection(self) -> Tensor:
        if self.output_projection is None:
            raise self.refuse("its output projection is not known", "columns other than wov_norm work")
        return self.output_projection().to(self.keys.device)
