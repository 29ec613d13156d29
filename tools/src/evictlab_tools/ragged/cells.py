"""Keys and values of one layer, where rows (the KV heads of each sequence) hold different numbers of tokens.

The cells of a row lie one after another, oldest first, with some room behind them for tokens that come; the rows lie in
one tensor. A row may be empty.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

LEAST_ROOM = 16  # cells behind each row's last one when rows are laid out,
ROOM_SHARE = 16  # or the longest row's count by this: what growing copies then stays a constant number of cells a token


class Segment(NamedTuple):
    """Neighbouring rows of one length, which attention takes as one batch."""

    first: int  # row
    rows: int


@dataclass
class Cells:
    keys: Tensor  # [cells][d], room included
    values: Tensor  # [cells][d of values]
    positions: Tensor  # [cells], int32: places in the text
    counts: list[int]  # by row
    starts: list[int]  # by row
    ends: Tensor  # [rows]: where the next token's cell is
    segments: list[Segment]
    room: int  # tokens that still fit

    @staticmethod
    def of(
        keys: Tensor, values: Tensor, positions: Tensor, chosen: Tensor, counts: Sequence[int], room: int = 0
    ) -> Cells:
        """Of the numbers `chosen` of flat cells, `counts` for each row; with room for so many tokens at least."""
        room = max(room, LEAST_ROOM, max(counts) // ROOM_SHARE)
        device = keys.device
        sizes = torch.tensor(list(counts))
        starts = (sizes + room).cumsum(0) - sizes - room
        shifts = (starts - (sizes.cumsum(0) - sizes)).repeat_interleave(sizes)
        places = (torch.arange(len(shifts)) + shifts).to(device)
        total = int(sizes.sum()) + room * len(sizes)

        def laid_out(flat: Tensor) -> Tensor:
            return flat.new_empty((total, *flat.shape[1:])).index_copy_(0, places, flat[chosen])

        return Cells(
            laid_out(keys),
            laid_out(values),
            laid_out(positions),
            list(counts),
            starts.tolist(),
            (starts + sizes).to(device),
            _segments(counts),
            room,
        )

    @property
    def rows(self) -> int:
        return len(self.counts)

    def numbers(self, rows: Sequence[int]) -> Tensor:
        """Of the cells that are held, row by row."""
        parts = [torch.arange(self.starts[row], self.starts[row] + self.counts[row]) for row in rows]
        return torch.cat(parts).to(self.keys.device)

    def take(self, rows: Sequence[int], room: int = 0) -> Cells:
        """A copy of these rows, in this order, laid out anew."""
        counts = [self.counts[row] for row in rows]
        return Cells.of(self.keys, self.values, self.positions, self.numbers(rows), counts, room)

    def held(self) -> tuple[Tensor, Tensor]:
        """Of each cell that is held, row by row: its row, and its position."""
        row = torch.arange(self.rows).repeat_interleave(torch.tensor(self.counts)).to(self.keys.device)
        return row, self.positions[self.numbers(range(self.rows))].long()

    def keep(self, kept: Tensor) -> Cells:
        """A copy of some of the cells that are held: bool, in the order of held()."""
        row, _ = self.held()
        counts = torch.bincount(row[kept], minlength=self.rows).tolist()
        return Cells.of(self.keys, self.values, self.positions, self.numbers(range(self.rows))[kept], counts)

    def append(self, keys: Tensor, values: Tensor, first: int) -> None:
        """To each row, where there is room: [rows][m][d], of the tokens that stand from `first` on."""
        tokens = keys.shape[1]
        if tokens == 1:
            places = self.ends
            self.positions.index_fill_(0, places, first)
        else:
            behind = torch.arange(tokens, device=keys.device)
            places = (self.ends[:, None] + behind).flatten()
            self.positions.index_copy_(0, places, (first + behind).to(torch.int32).repeat(self.rows))
        self.keys.index_copy_(0, places, keys.flatten(0, 1))
        self.values.index_copy_(0, places, values.flatten(0, 1))
        self.ends += tokens
        self.counts = [count + tokens for count in self.counts]
        self.room -= tokens

    def view(self, segment: Segment, flat: Tensor) -> Tensor:
        """[rows][1][count][d]: of keys, values or positions (d is 1) what the segment's rows hold, where it lies."""
        count, dim = self.counts[segment.first], flat.stride(0)
        row = (count + self.room) * dim
        return flat.as_strided((segment.rows, 1, count, dim), (row, row, dim, 1), self.starts[segment.first] * dim)

    @property
    def nbytes(self) -> int:
        """Of keys, values and positions, room included."""
        return sum(tensor.numel() * tensor.element_size() for tensor in (self.keys, self.values, self.positions))


def _segments(counts: Sequence[int]) -> list[Segment]:
    result: list[Segment] = []
    for row, count in enumerate(counts):
        if result and counts[result[-1].first] == count:
            result[-1] = Segment(result[-1].first, result[-1].rows + 1)
        else:
            result.append(Segment(row, 1))
    return result
