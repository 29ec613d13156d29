"""One layer of a RaggedCache, as transformers' models and generate() ask a cache's layer."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers.cache_utils import CacheLayerMixin, DynamicLayer

from evictlab_tools.errors import ToolError, UsageError
from evictlab_tools.ragged.attention import RaggedKeys, tell_attention_functions
from evictlab_tools.ragged.cells import Cells

Kept = Any  # bool [H_kv][n] or [B][H_kv][n], or of each head the positions: array, tensor or lists


@dataclass(frozen=True)
class Part:
    """Stands for layer.keys[:, :, :tokens], to which kvpress's pipeline sets a layer back after an answer."""

    tokens: int

    def __getitem__(self, at: Any) -> Part:
        everything = slice(None)
        if isinstance(at, tuple) and len(at) == 3 and at[0] == at[1] == everything and at[2] == slice(at[2].stop):
            return Part(at[2].stop)
        raise ToolError(f"the layers of a ragged cache hold no tensor of all heads' keys or values: {NO_TENSOR}")


NO_TENSOR = "RaggedLayer.head() gives one head's keys, values and positions"


class RaggedLayer(CacheLayerMixin):  # type: ignore[misc]
    """Each KV head of each sequence holds tokens of its own, and no memory for others.

    Positions are places in the text, counted from 0; `seen` of them were, held or not.
    """

    is_sliding = False
    is_compileable = False
    is_initialized = True

    def __init__(self, cells: Cells, batch: int, seen: int) -> None:
        tell_attention_functions()
        self._cells, self.batch, self.seen = cells, batch, seen
        self._evicted_at = seen  # what was seen when tokens went last

    @staticmethod
    def of(layer: DynamicLayer, kept: Kept) -> RaggedLayer:
        """Of a layer that holds a prompt of n tokens whole; it is left as it is."""
        if type(layer) is not DynamicLayer or not layer.is_initialized:
            raise ToolError(
                f"a ragged cache is made of layers that hold a whole prompt as it was (DynamicLayer of "
                f"past_key_values=DynamicCache()), and this one is {type(layer).__name__}"
            )
        batch, heads, tokens, _ = layer.keys.shape
        mask = as_mask(kept, batch, heads, tokens).to(layer.keys.device)
        cells = Cells.of(
            layer.keys.flatten(0, 2),
            layer.values.flatten(0, 2),
            torch.arange(tokens, dtype=torch.int32, device=layer.keys.device).repeat(batch * heads),
            mask.flatten().nonzero()[:, 0],
            mask.sum(-1).flatten().tolist(),
        )
        return RaggedLayer(cells, batch, tokens)

    def update(self, key_states: Tensor, value_states: Tensor, cache_kwargs: Any = None) -> tuple[Tensor, Tensor]:
        """Appends the newest tokens' [B][H_kv][m][d]; what is returned only attention over ragged keys can read."""
        tokens = key_states.shape[2]
        if key_states.shape[:2] != (self.batch, self.heads):
            raise ToolError(
                f"this layer of a ragged cache is of {self.batch} sequences and {self.heads} KV heads, and was given "
                f"keys of {key_states.shape[0]} and {key_states.shape[1]}"
            )
        if tokens > self._cells.room:
            self._cells = self._cells.take(range(self._cells.rows), tokens)
        self._cells.append(key_states.flatten(0, 1), value_states.flatten(0, 1), self.seen)
        self.seen += tokens
        return tuple(RaggedKeys.of(self._cells, like, self.seen) for like in (key_states, value_states))  # type: ignore[return-value]

    @property
    def heads(self) -> int:
        return self._cells.rows // self.batch

    @property
    def counts(self) -> list[list[int]]:
        """[B][H_kv]: tokens that are held."""
        counts, heads = self._cells.counts, self.heads
        return [counts[first : first + heads] for first in range(0, len(counts), heads)]

    @property
    def nbytes(self) -> int:
        """Allocated, room for coming tokens and positions included."""
        return self._cells.nbytes

    def head(self, head: int, sequence: int = 0) -> tuple[Tensor, Tensor, Tensor]:
        """Keys and values [count][d] and positions [count] of one head, oldest first, where they lie."""
        cells, row = self._cells, sequence * self.heads + head
        at = slice(cells.starts[row], cells.starts[row] + cells.counts[row])
        return cells.keys[at], cells.values[at], cells.positions[at]

    def evict(self, kept: Kept) -> None:
        """Keeps, of what is held, what is in `kept` (by positions); the memory of the rest is free at once."""
        row, position = self._cells.held()
        mask = as_mask(kept, self.batch, self.heads, self.seen).to(position.device)
        self._cells = self._cells.keep(mask.flatten(0, 1)[row, position])
        self._evicted_at = self.seen

    def get_seq_length(self) -> int:
        """Tokens of the text so far, from which models count positions."""
        return self.seen

    def get_mask_sizes(self, cache_position: Tensor) -> tuple[int, int]:
        """Masks are of the whole text; each head takes its cells' columns."""
        return self.seen + cache_position.shape[0], 0

    def get_max_cache_shape(self) -> int:
        return -1

    def crop(self, max_length: int) -> None:
        """Takes the text's newest tokens away again, but none that came before the last eviction."""
        length = max_length if max_length >= 0 else self.seen + max_length
        if length >= self.seen:
            return
        if length < self._evicted_at:
            raise ToolError(
                f"a ragged cache cannot be cropped to {length} tokens: it evicted when it had seen {self._evicted_at}, "
                "and what a shorter text would have kept is gone"
            )
        _, position = self._cells.held()
        self._cells, self.seen = self._cells.keep(position < length), length

    def _take(self, sequences: Sequence[int]) -> None:
        rows = [sequence * self.heads + head for sequence in sequences for head in range(self.heads)]
        self._cells, self.batch = self._cells.take(rows), len(sequences)

    def reorder_cache(self, beam_idx: Tensor) -> None:
        self._take(beam_idx.tolist())

    def batch_repeat_interleave(self, repeats: int) -> None:
        self._take([sequence for sequence in range(self.batch) for _ in range(repeats)])

    def batch_select_indices(self, indices: Tensor) -> None:
        self._take(torch.arange(self.batch)[indices.cpu()].tolist())

    def reset(self) -> None:
        raise ToolError("a ragged cache cannot be reset: make a new one of the next prompt's cache")

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        """There is nothing to be done: it is made of a layer that holds tokens."""

    def offload(self) -> None:
        raise ToolError("a ragged cache stays on the model's device: offloading works with other caches")

    prefetch = offload

    @property
    def keys(self) -> Part:
        return Part(self.seen)

    @keys.setter
    def keys(self, part: Part) -> None:
        if not isinstance(part, Part):
            raise ToolError(f"a layer of a ragged cache cannot be given a tensor of all heads' keys: {NO_TENSOR}")
        self.crop(part.tokens)

    values = keys


def as_mask(kept: Kept, batch: int, heads: int, tokens: int) -> Tensor:
    """bool [B][H_kv][n] of what `kept` may be; UsageError where it is not of this size."""
    if isinstance(kept, (list, tuple)):
        mask = _mask_of_positions(kept, tokens)
    else:
        mask = kept if isinstance(kept, Tensor) else torch.from_numpy(np.asarray(kept))
    if mask.ndim == 2 and batch == 1:
        mask = mask[None]
    if mask.dtype != torch.bool or mask.shape != (batch, heads, tokens):
        raise UsageError(
            f"a kept set is bool {[batch, heads, tokens]} (sequences, KV heads, tokens), or of one sequence the "
            f"positions that each of {heads} heads keeps, not {mask.dtype} {list(mask.shape)}"
        )
    return mask


def _mask_of_positions(kept: Sequence[Any], tokens: int) -> Tensor:
    mask = torch.zeros((len(kept), tokens), dtype=torch.bool)
    for head, positions in enumerate(kept):
        at = torch.as_tensor(positions).cpu()
        if at.numel() > 0 and (
            at.dtype == torch.bool or at.ndim != 1 or not 0 <= int(at.min()) <= int(at.max()) < tokens
        ):
            raise UsageError(f"head {head} of a kept set has no list of positions from 0 to {tokens - 1}")
        mask[head, at.long()] = True
    return mask
