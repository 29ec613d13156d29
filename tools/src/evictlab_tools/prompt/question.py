"""Asks a module of transformers what it calls its attention function with, and lets others answer for that."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

# Exported presses hold what follows.
ASKED = f"{__name__}.answer"  # the name under which transformers finds answer()


class Refused(ValueError):
    """A press would be wrong here; the message names the module, what was not proved, and what works."""


class Call(Exception):
    """What a module called its attention function with, on its way out of the module."""

    def __init__(self, queries: Tensor, keys: Tensor, values: Tensor, options: dict[str, Any]) -> None:
        super().__init__("the attention function was called")
        self.queries, self.keys, self.values, self.options = queries, keys, values, options


class Asking:
    """A module's configuration, but for its attention function: that is `reply`."""

    def __init__(self, config: Any, reply: Callable[..., Any]) -> None:
        self.config, self.reply, self._attn_implementation = config, reply, ASKED

    def __getattr__(self, name: str) -> Any:
        return getattr(self.config, name)


def answer(
    module: Any, queries: Tensor, keys: Tensor, values: Tensor, mask: Any = None, *_: Any, **options: Any
) -> Any:
    return module.config.reply(queries, keys, values, options)


ALL_ATTENTION_FUNCTIONS.register(ASKED, answer)


def ask(module: Any, arguments: dict[str, Any], reply: Callable[..., Any] | None) -> Any:
    """Runs the module's own code on a copy that shares its weights: hooks and other threads see nothing of it."""
    twin = copy.copy(module)
    if reply is not None:
        twin.config = Asking(module.config, reply)
    with torch.no_grad():
        return type(module).forward(twin, **arguments)


def tell(queries: Tensor, keys: Tensor, values: Tensor, options: dict[str, Any]) -> Any:
    raise Call(queries, keys, values, options)


def alike(a: Tensor, b: Tensor) -> bool:
    """Equal but for rounding in b's type: a wrong reading is off by tenths."""
    tolerance = max(1e-3, 4 * torch.finfo(b.dtype).eps)
    return a.shape == b.shape and bool((a.float() - b.float()).norm() <= tolerance * b.float().norm())
