"""What a press of kvpress keeps of a prompt: the model reads it under the press, and the cache tells.

A token is kept whose key and value are in the cache as they were, and that no later attention is to be kept from
(`masked_key_indices`). A press that writes other keys or values there, or has the prompt read again, is refused.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import DynamicCache

from evictlab_tools.errors import ToolError, UsageError

MASKED = "masked_key_indices"  # of an attention's module: batch, head and place of what it shall not see
BUDGETS = ("uniform", "head", "layer", "head and layer")
_LAYERS = ("PyramidKVPress", "SimLayerKVPress", "PerLayerCompressionPress")
_EAGER = "ObservedAttentionPress"  # reads the attention itself, which only this way of computing it gives


def is_press(thing: Any) -> bool:
    """By what all presses of kvpress derive from, so that it need not be there."""
    made = thing if isinstance(thing, type) else type(thing)
    return any(base.__name__ == "BasePress" and base.__module__.startswith("kvpress.") for base in made.__mro__)


def _chain(press: Any) -> Iterator[type]:
    """The classes of a press, and of those that it holds."""
    yield from type(press).__mro__ if not isinstance(press, type) else press.__mro__
    for held in vars(press).values() if not isinstance(press, type) else ():
        for each in held if isinstance(held, (list, tuple)) else [held]:
            if is_press(each):
                yield from _chain(each)


def _masks(of: type) -> bool:
    try:
        return of.__module__ != "builtins" and MASKED in inspect.getsource(of)
    except (OSError, TypeError):
        return False


def budgets_of(press: Any) -> str:
    """How it divides the budget: as its attribute `budgets` says, else by heads where its code masks keys."""
    said = getattr(press, "budgets", None)
    if said is not None:
        if said not in BUDGETS:
            raise UsageError(f"{press!r}: budgets is {said!r}, but must be one of {', '.join(BUDGETS)}")
        return str(said)
    classes = list(_chain(press))
    kinds = ["head"] if any(_masks(each) for each in classes) else []
    kinds += ["layer"] if any(each.__name__ in _LAYERS for each in classes) else []
    return " and ".join(kinds) or "uniform"


def _made(text: str, press: Any, removed: float) -> Any:
    try:
        made = press() if isinstance(press, type) else deepcopy(press)
    except Exception as error:  # somebody's own code
        raise UsageError(
            f"scorer '{text}' cannot be made without arguments: {error}; give it a name in a module of your own, as "
            f"press = {getattr(press, '__name__', 'Press')}(...), and name that: module:press"
        ) from None
    if not hasattr(made, "compression_ratio"):
        raise UsageError(f"scorer '{text}' has no compression_ratio, by which it could be told how much to keep")
    try:
        made.compression_ratio = removed
    except Exception as error:
        raise UsageError(f"scorer '{text}': its compression_ratio cannot be set: {error}") from None
    return made


@contextmanager
def _attention(model: Any, press: Any) -> Iterator[None]:
    """As the model computes it, but for presses that read it."""
    before = model.config._attn_implementation
    eager = any(each.__name__ == _EAGER for each in _chain(press))
    if eager:
        model.set_attn_implementation("eager")
    try:
        yield
    finally:
        if eager:
            model.set_attn_implementation(before)
        for module in model.modules():
            if getattr(module, MASKED, None) is not None:
                setattr(module, MASKED, None)


class _Before:
    """Keys and values of each layer before the press has cut them: hooks run in the order in which they came."""

    def __init__(self, text: str, model: Any, tokens: int) -> None:
        self._text, self._tokens = text, tokens
        self.layers: dict[int, tuple[Tensor, Tensor]] = {}
        inner = getattr(model.model, "language_model", model.model)
        self.modules: dict[int, torch.nn.Module] = {
            number: layer.self_attn for number, layer in enumerate(inner.layers)
        }
        self._hooks = [module.register_forward_hook(self._take, with_kwargs=True) for module in self.modules.values()]

    def _take(self, module: Any, _inputs: Any, given: Mapping[str, Any], _output: Any) -> None:
        number = module.layer_idx
        if number in self.layers:
            raise ToolError(f"'{self._text}' has the prompt read more than once, which is no row of one pass")
        layer = given["past_key_values"].layers[number]
        self.layers[number] = layer.keys[0].clone(), layer.values[0].clone()

    def close(self) -> None:
        for hook in self._hooks:
            hook.remove()


@torch.no_grad()
def kept_by_press(
    text: str, press: Any, model: Any, ids: Sequence[int], removed: float
) -> dict[int, NDArray[np.bool_]]:
    """By layer [H_kv][n]. ToolError where the press fails, or does something else than keeping tokens."""
    made, cache = _made(text, press, removed), DynamicCache()
    device = next(model.parameters()).device
    before = _Before(text, model, len(ids))
    try:
        with _attention(model, made):
            with made(model):
                model(input_ids=torch.tensor([list(ids)], device=device), past_key_values=cache, use_cache=True)
            masked = {number: getattr(module, MASKED, None) for number, module in before.modules.items()}
    except ToolError:
        raise
    except Exception as error:  # somebody's own code
        raise ToolError(f"'{text}' failed: {type(error).__name__}: {error}") from error
    finally:
        before.close()
    return {
        number: _kept(text, number, whole, cache.layers[number], masked[number])
        for number, whole in before.layers.items()
    }


def _kept(text: str, number: int, whole: tuple[Tensor, Tensor], layer: Any, masked: Any) -> NDArray[np.bool_]:
    keys, values = whole
    mask = np.zeros(keys.shape[:2], np.bool_)
    hidden: set[tuple[int, int]] = set()
    if masked is not None:
        _, heads, places = (part.cpu().tolist() for part in masked)
        hidden = set(zip(heads, places, strict=True))
    for head in range(len(mask)):
        there: dict[bytes, list[int]] = {}
        for token, row in enumerate(_rows(keys[head], values[head])):
            there.setdefault(row, []).append(token)
        for place, row in enumerate(_rows(layer.keys[0, head], layer.values[0, head])):
            tokens = there.get(row)
            if not tokens:
                raise ToolError(
                    f"'{text}' changes keys or values (layer {number}); what keeps or drops them is run here"
                )
            token = tokens.pop(0)
            mask[head, token] = (head, place) not in hidden
    return mask


def _rows(keys: Tensor, values: Tensor) -> list[bytes]:
    """A token's bits."""
    both = torch.cat((keys, values), -1).contiguous().cpu()
    return [row.tobytes() for row in both.view(torch.uint8).numpy()]
