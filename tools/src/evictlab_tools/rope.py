"""RoPE as traces and scorers know it, and the frequencies that a model's rotary embedding used on one run.

Known is the half-split form: one frequency a pair of dimensions (t, t + d/2), all dimensions, one factor on cosines and
sines. Frequencies may depend on a run's length (dynamic NTK, longrope), so they are taken from the run in question.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from threading import Lock
from typing import Any

import torch
from torch import Tensor

from evictlab_tools.errors import ToolError

WATCHED = "_evictlab_watched"  # attribute of modules that are watched already


@dataclass(frozen=True)
class Rope:
    inv_freq: Tensor  # [d / 2], radians a position, of the pairs (t, t + d/2)
    scale: float  # factor on cosines and sines


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


def find_rope(
    model: torch.nn.Module | Iterable[Tensor],
    layer: int,
    cos: Tensor,
    sin: Tensor,
    dim: int,
    dtype: torch.dtype = torch.float32,
) -> Rope:
    """The frequencies, among a module's or those given, of these cosines and sines [tokens][dim] from position 0 on.

    `dtype` is what cosines and sines were rounded to.
    """
    known = frequencies(model) if isinstance(model, torch.nn.Module) else model
    scale = float(cos[0, 0])
    best: tuple[float, Rope] | None = None
    for buffer in known:
        if buffer.numel() * 2 != dim or cos.shape[-1] != dim:
            continue
        rope = Rope(buffer.float().flatten(), scale)
        pairs = zip(cos_sin(rope, cos.shape[0]), (cos, sin), strict=True)
        error = max(float((made - given).abs().max()) for made, given in pairs)
        if best is None or error < best[0]:
            best = (error, rope)
    if best is None or not best[0] <= tolerance(dtype) * max(scale, 1e-30):
        raise ToolError(
            f"layer {layer}: its rotary embedding (cosines {list(cos.shape)}) is not the half-split form over all "
            f"{dim} dimensions with the model's inv_freq; partial and interleaved RoPE are not supported"
        )
    return best[1]


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
