"""RoPE as traces and scorers know it, and the frequencies that a model's rotary embedding used on one run.

Known is the half-split form: one frequency a pair of dimensions (t, t + d/2), one factor on cosines and sines.
Interleaved RoPE, and RoPE of some dimensions only, has this form once the dimensions of queries and keys are in another
order, which changes no q·k. Frequencies may depend on a run's length (dynamic NTK, longrope), so they are taken from
the run in question.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from threading import Lock
from typing import Any

import torch
from torch import Tensor

WATCHED = "_evictlab_watched"  # attribute of modules that are watched already


@dataclass(frozen=True)
class Rope:
    inv_freq: Tensor  # [d / 2], radians a position, of the pairs (t, t + d/2)
    scale: float  # factor on cosines and sines
    order: Tensor | None = None  # [d]: the dimensions of queries and keys that these pairs are of; None: as they are

    def ordered(self, x: Tensor) -> Tensor:
        """Queries or keys [...][d] with their dimensions in this order."""
        return x if self.order is None else x[..., self.order]


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    half = x.shape[-1] // 2
    return x * cos + torch.cat((-x[..., half:], x[..., :half]), -1) * sin


def cos_sin(rope: Rope, tokens: int) -> tuple[Tensor, Tensor]:
    """[tokens][d], of the positions from 0 on."""
    angles = torch.arange(tokens, device=rope.inv_freq.device).float()[:, None] * rope.inv_freq[None, :].float()
    angles = torch.cat((angles, angles), -1)
    return angles.cos() * rope.scale, angles.sin() * rope.scale


def tolerance(dtype: torch.dtype) -> float:
    """How far two ways to one value may lie apart, of the largest; a wrong reading is off by tenths."""
    return max(1e-3, 2.5 * torch.finfo(dtype).eps)


def frequencies(module: torch.nn.Module) -> list[Tensor]:
    """Buffers that may be a rotary embedding's frequencies."""
    return [buffer.detach() for name, buffer in module.named_buffers() if name.endswith("inv_freq")]


def find_rope(turned_by: Iterable[Tensor], before: Tensor, after: Tensor, scale: float, bound: float) -> Rope | None:
    """The frequencies, of those given, that turn `before` into `after` [heads][tokens][d], from position 0 on.

    None where they differ by more than `bound` of a head's largest value.
    """
    dim, least = before.shape[-1], bound
    best: Rope | None = None
    largest = after.abs().flatten(1).amax(-1).clamp_min(1e-30)
    for inv_freq in _different(turned_by):
        for rope in _forms(inv_freq, dim, scale):
            turned = rotate(rope.ordered(before), *cos_sin(rope, before.shape[1]))
            error = float(((turned - rope.ordered(after)).abs().flatten(1).amax(-1) / largest).max())
            if error <= least:
                least, best = error, rope
    return best


def _different(tensors: Iterable[Tensor]) -> list[Tensor]:
    found: list[Tensor] = []
    for tensor in tensors:
        flat = tensor.float().flatten()
        if not any(flat.shape == other.shape and torch.equal(flat, other) for other in found):
            found.append(flat)
    return found


def _forms(inv_freq: Tensor, dim: int, scale: float) -> Iterator[Rope]:
    """Half-split and interleaved, of the first dimensions where there are fewer frequencies than pairs."""
    turned = 2 * inv_freq.numel()
    if turned > dim or (turned < dim and scale != 1):  # the factor would be on all dimensions
        return
    padded = torch.cat((inv_freq, torch.zeros((dim - turned) // 2)))
    rest = torch.arange(turned, dim).chunk(2) if turned < dim else (torch.arange(0), torch.arange(0))
    half, all_turned = turned // 2, torch.arange(turned)
    for first, second in ((all_turned[:half], all_turned[half:]), (all_turned[0::2], all_turned[1::2])):
        order = torch.cat((first, rest[0], second, rest[1]))
        as_it_is = torch.equal(order, torch.arange(dim))
        yield Rope(padded, scale, None if as_it_is else order)


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
