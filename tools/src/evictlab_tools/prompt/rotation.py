"""RoPE as traces, scorers and presses know it: pairs of channels, each turned by an angle a position."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor


# Exported presses hold what follows.
@dataclass(frozen=True)
class Rope:
    """RoPE turns the pairs of channels (t, t + d/2), once channels are in this order."""

    frequencies: Tensor  # [d/2], radians a position; 0 of what is not turned
    factor: float = 1.0  # on cosines and sines
    order: Tensor | None = None  # [d], channels; None: as they are

    def ordered(self, x: Tensor) -> Tensor:
        """Queries or keys [..., d] with their channels in this order, which changes no q·k."""
        return x if self.order is None else x[..., self.order]


def turn(x: Tensor, angles: Tensor, factor: float) -> Tensor:
    """x [..., d] by angles [..., d/2]."""
    a, b = x.chunk(2, dim=-1)
    cos, sin = angles.cos() * factor, angles.sin() * factor
    return torch.cat((a * cos - b * sin, b * cos + a * sin), dim=-1)


def rotations(frequencies: Tensor, channels: int, factor: float, *, last: bool = False) -> Iterator[Rope]:
    """Of these frequencies: halves or neighbours as pairs; of the first channels, or also of the last ones."""
    turned = 2 * len(frequencies)
    if turned > channels or (channels - turned) % 2 != 0:
        return
    padded = torch.cat((frequencies, frequencies.new_zeros((channels - turned) // 2)))
    every = torch.arange(channels, device=frequencies.device)
    for first in sorted({0, channels - turned if last else 0}):
        some = every[first : first + turned]
        a, b = torch.cat((every[:first], every[first + turned :])).tensor_split(2)
        for pairs in (some.view(2, -1), some.view(-1, 2).T):
            order = torch.cat((pairs[0], a, pairs[1], b))
            yield Rope(padded, factor, None if torch.equal(order, every) else order)
