"""A document that runs chunk by chunk with a KV cache: in memory are the cache and the activations of one chunk.

Each chunk of each layer is proven as a whole document is (checks.py), and then its queries go to disk. Scale, window
and RoPE must be the same in every chunk.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor
from transformers import DynamicCache

from evictlab_tools.attention import WHAT_WORKS, LayerAttention, recording, refusal
from evictlab_tools.errors import ToolError
from evictlab_tools.prompt.rotation import Rope
from evictlab_tools.spill import SpilledQueries, SpillFile

CLOSE = 1e-2  # factors on cosines and sines, of which a model's type may round


@dataclass
class _Facts:
    """What is known of a layer from its chunks so far."""

    module: torch.nn.Module
    queries: SpilledQueries
    scale: float
    rope: Rope
    windows: dict[int, int] = field(default_factory=dict)  # by how many tokens there were
    projects: bool = True

    @property
    def window(self) -> int:
        """Of the last chunk; masks of shorter ones cannot say."""
        return self.windows[max(self.windows)]


@dataclass
class Prefill:
    model: torch.nn.Module
    ids: Sequence[int]
    wanted: Sequence[int] | None
    step: int
    _file: SpillFile = field(default_factory=SpillFile)
    _facts: dict[int, _Facts] = field(default_factory=dict)

    @torch.no_grad()
    def run(self, logits: int) -> tuple[dict[int, LayerAttention], Tensor]:
        """The layers that were wanted and seen, and logits [logits][vocabulary] of the last tokens."""
        cache, said, total = DynamicCache(), [], len(self.ids)
        ids = tokens_of(self.model, self.ids)
        for first in range(0, total, self.step):
            past = min(first + self.step, total)
            asked = max(0, past - max(first, total - logits))
            with recording(self.wanted, keep_calls=True, take=self._take):
                found = self._logits(ids[:, first:past], first, cache, max(1, asked))
            if asked:
                said.append(found[-asked:].clone())
            del found
        return {number: self._whole(number, cache) for number in sorted(self._facts)}, torch.cat(said)

    def _logits(self, ids: Tensor, first: int, cache: DynamicCache, count: int) -> Tensor:
        positions = torch.arange(first, first + ids.shape[1], device=ids.device)[None]
        options = {"past_key_values": cache, "use_cache": True, "logits_to_keep": count}
        try:
            logits: Tensor = self.model(input_ids=ids, position_ids=positions, **options).logits[0]
        except (AttributeError, IndexError, KeyError, NotImplementedError, TypeError, ValueError) as error:
            raise ToolError(
                f"{type(self.model).__name__} could not be run in chunks with a KV cache of keys and values "
                f"({type(error).__name__}: {error}); {WHAT_WORKS}; --chunk 0 runs documents whole"
            ) from error
        return logits

    def _take(self, number: int, part: LayerAttention) -> None:
        """A chunk of a layer, proven."""
        rope = part.rope
        assert isinstance(part.q, Tensor) and rope is not None
        queries = part.q.to(part.k.dtype)  # the type that they were handed over in
        if number not in self._facts:
            room = SpilledQueries.make(self._file, queries, len(self.ids))
            self._facts[number] = _Facts(part.module, room, part.scale, rope)
        facts = self._facts[number]
        if part.scale != facts.scale or not _same_rope(rope, facts.rope):
            raise refusal(
                number,
                part.module,
                "its RoPE or scale depends on how long the text is, so a document that is run in chunks is not the one "
                "that is run whole (--chunk 0 runs it whole)",
            )
        facts.queries.write(part.first, queries)
        facts.windows[part.k.shape[1]] = part.window
        facts.projects &= part.projects
        part.q = part.k = part.v = part.output = queries.new_empty(0, 0, 0)

    def _whole(self, number: int, cache: DynamicCache) -> LayerAttention:
        facts, held = self._facts[number], cache.layers[number]
        for tokens, window in facts.windows.items():
            if window != facts.window and not (window == 0 and tokens <= facts.window):
                raise refusal(number, facts.module, "its sliding window differs from chunk to chunk")
        if held.keys is None or held.keys.shape[2] != len(self.ids):
            raise refusal(number, facts.module, "it holds other tokens in its KV cache than those that ran")
        keys, values = held.keys[0], held.values[0]
        nothing = keys.new_empty(0, facts.queries.shape[0] * facts.queries.shape[2])
        return LayerAttention(
            facts.module,
            facts.queries,
            keys,
            values,
            nothing,
            facts.scale,
            facts.window,
            facts.rope,
            projects=facts.projects,
        )


def _same_rope(a: Rope, b: Rope) -> bool:
    same_order = torch.equal(a.order, b.order) if a.order is not None and b.order is not None else a.order is b.order
    return same_order and torch.equal(a.frequencies, b.frequencies) and abs(a.factor - b.factor) <= CLOSE * b.factor


def tokens_of(model: torch.nn.Module, ids: Sequence[int]) -> Tensor:
    """[1][N], where the model takes them."""
    embeddings: torch.nn.Embedding = model.get_input_embeddings()  # type: ignore[operator]
    return torch.tensor([list(ids)], device=embeddings.weight.device)
