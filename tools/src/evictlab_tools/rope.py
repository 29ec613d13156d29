"""The frequencies that a model's rotary embedding used on one run: dynamic NTK and longrope change them by length."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

from collections.abc import Callable, Iterable
from threading import Lock
from typing import Any

import torch
from torch import Tensor

from evictlab_tools.prompt.rotation import Rope, rotations, turn

WATCHED = "_evictlab_watched"  # attribute of modules that are watched already


def tolerance(dtype: torch.dtype) -> float:
    """How far two ways to one value may lie apart, of the largest; a wrong reading is off by tenths."""
    return max(1e-3, 2.5 * torch.finfo(dtype).eps)


def frequencies(module: torch.nn.Module) -> list[Tensor]:
    """Buffers that may be a rotary embedding's frequencies."""
    return [buffer.detach() for name, buffer in module.named_buffers() if name.endswith("inv_freq")]


def find_rope(
    turned_by: Iterable[Tensor], before: Tensor, after: Tensor, scale: float, bound: float, first: int = 0
) -> Rope | None:
    """The frequencies, of those given, that turn `before` into `after` [heads][tokens][d], from position `first` on.

    None where they differ by more than `bound` of a head's largest value.
    """
    channels, least = before.shape[-1], bound
    best: Rope | None = None
    largest = after.abs().flatten(1).amax(-1).clamp_min(1e-30)
    at = torch.arange(first, first + before.shape[1], device=before.device).float()
    for frequencies in _different(turned_by, before.device):
        if 2 * len(frequencies) != channels and scale != 1:  # the factor would be on all channels
            continue
        for rope in rotations(frequencies, channels, scale):
            turned = turn(rope.ordered(before), at[:, None] * rope.frequencies, rope.factor)
            error = float(((turned - rope.ordered(after)).abs().flatten(1).amax(-1) / largest).max())
            if error <= least:
                least, best = error, rope
    return best


def _different(tensors: Iterable[Tensor], device: torch.device) -> list[Tensor]:
    found: list[Tensor] = []
    for tensor in tensors:
        flat = tensor.to(device, torch.float32).flatten()
        if not any(flat.shape == other.shape and torch.equal(flat, other) for other in found):
            found.append(flat)
    return found


def watch_rotary(model: torch.nn.Module, note: Callable[[list[Tensor]], None]) -> None:
    """Makes each rotary embedding of the model a function of its arguments alone, and notes what it turned by.

    Transformers keeps the frequencies of one call for the next, so that a short text after a long one would be turned
    by the long one's; threads that share a model would change each other's.
    """
    for module in model.modules():
        own = any(name.endswith("inv_freq") for name in module._buffers)
        if own and WATCHED not in vars(module):
            _watch(module, note)


def _watch(module: torch.nn.Module, note: Callable[[list[Tensor]], None]) -> None:
    forward, lock = module.forward, Lock()
    buffers = dict(module._buffers)
    values = {name: value for name, value in vars(module).items() if not name.startswith("_")}

    def anew(*args: Any, **kwargs: Any) -> Any:
        with lock:
            module._buffers.clear()
            module._buffers.update(buffers)
            state = vars(module)
            for name in [name for name in state if not name.startswith("_") and name not in values]:
                if name != "forward":
                    del state[name]
            state.update(values)
            result = forward(*args, **kwargs)
            note(frequencies(module))
        return result

    setattr(module, WATCHED, True)
    module.forward = anew
