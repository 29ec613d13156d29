"""The keys and values that one layer of one sequence still caches, at their true positions, and attention over them."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from evictlab_tools.layer_cache import Slots
from evictlab_tools.masked import PromptLayer


class HeldLayer:
    """Heads may hold different numbers of tokens; each head's come first, in order of position."""

    def __init__(self, prompt: PromptLayer) -> None:
        self._k, self._v = prompt.k.float(), prompt.v.float()  # [H_kv][most][d]
        self._device = prompt.k.device
        self._scale, self._window = prompt.scale, prompt.window
        heads, tokens = prompt.k.shape[:2]
        self.counts: NDArray[np.int64] = np.full(heads, tokens)
        self._position = torch.arange(tokens, device=self._device).expand(heads, -1)  # [H_kv][most]
        self._newest = tokens  # the position of the first token since the last cut

    def positions(self) -> Slots:
        """[head]: what is cached."""
        return [row[:count].cpu().numpy() for row, count in zip(self._position, self.counts, strict=True)]

    def add(self, k: Tensor, v: Tensor, position: int) -> None:
        """The token behind the last one: k and v [H_kv][d]."""
        heads, most, dim = self._k.shape
        at = self._counts()[:, None]
        if int(self.counts.max()) == most:
            self._k, self._v = (torch.cat((x, x.new_zeros(heads, 1, dim)), 1) for x in (self._k, self._v))
            self._position = torch.cat((self._position, self._position.new_zeros(heads, 1)), 1)
        place = at[:, :, None].expand(-1, -1, dim)
        self._k, self._v = self._k.scatter(1, place, k[:, None]), self._v.scatter(1, place, v[:, None])
        self._position = self._position.scatter(1, at, position)
        self.counts = self.counts + 1

    def attend(self, q: Tensor, position: int) -> Tensor:
        """[H_q][d], of the query [H_q][d] of the last token."""
        kv_heads, most, dim = self._k.shape
        seen = torch.arange(most, device=self._device) < self._counts()[:, None]
        if self._window > 0:
            seen &= self._position > position - self._window
        mask = None if bool(seen.all()) else seen[None, :, None, :]
        output = functional.scaled_dot_product_attention(
            q.reshape(1, kv_heads, -1, dim), self._k[None], self._v[None], attn_mask=mask, scale=self._scale
        )
        return output.reshape(-1, dim)

    def keep(self, slots: Slots) -> int:
        """Drops the others. Gives how many of these were there at the cut before, over all heads."""
        old = self._old()
        counts = np.array([len(row) for row in slots])
        index = torch.zeros(len(slots), max(1, int(counts.max())), dtype=torch.int64)
        for head, row in enumerate(slots):
            index[head, : len(row)] = torch.from_numpy(row)
        index = index.to(self._device)
        place = index[:, :, None].expand(-1, -1, self._k.shape[2])
        self._k, self._v = self._k.gather(1, place), self._v.gather(1, place)
        self._position = self._position.gather(1, index)
        self.counts = counts
        return old - self._old()

    def _counts(self) -> Tensor:
        return torch.from_numpy(self.counts).to(self._device)

    def cut_done(self, next_position: int) -> None:
        self._newest = next_position

    def _old(self) -> int:
        return sum(int((row < self._newest).sum()) for row in self.positions())
