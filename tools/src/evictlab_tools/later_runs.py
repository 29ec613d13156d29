"""What a press must know of a cache to evict again when a model goes on in it: where its tokens stand in the text, and
what the latest queries were."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from evictlab_tools.library import ALL_QUERIES
from evictlab_tools.prompt.layer import Layer

WHAT_WORKS = "prompts of one length, one after another in a DynamicCache, each inside the press's context, work"
LEFT = "evictlab_left"  # attribute of caches: what is left, by layer


@dataclass(frozen=True)
class Left:
    """What a layer caches."""

    positions: Tensor  # [B][H_kv][rows]: ascending, in the text
    seen: int  # tokens that there were so far
    queries: Tensor | None  # [B][H_q][latest][d], as the attention used them; None where nobody reads them

    def kept(self, mask: Tensor) -> Left:
        """By a mask [B][H_kv][rows] that keeps as many in every head."""
        return Left(self.positions[mask].view(*mask.shape[:2], -1), self.seen, self.queries)


def remember(cache: Any, layer: int, left: Left) -> None:
    vars(cache).setdefault(LEFT, {})[layer] = left


def whole_prompt(layer: Layer, queries: Tensor | None) -> Left:
    """Of a prompt, before anything goes."""
    batch, heads, tokens = layer.keys.shape[:3]
    at = layer.start + torch.arange(tokens, device=layer.keys.device)
    return Left(at.expand(batch, heads, -1), layer.start + tokens, queries)


def run_behind(module: Any, kwargs: dict[str, Any], keys: Tensor, values: Tensor) -> Layer:
    """The tokens of a run in a cache that held others before, as if they were a prompt that begins where they do."""
    tokens = kwargs["hidden_states"].shape[1]
    own = {**kwargs, "attention_mask": None}
    own["cache_position"] = torch.arange(tokens, device=keys.device)
    if own.get("position_ids") is None:
        own["position_ids"] = kwargs["cache_position"][None]
    layer = Layer(module, kwargs["hidden_states"], keys[:, :, -tokens:], values[:, :, -tokens:], own)
    if layer.window > 0:
        raise layer.refuse("it has a sliding window, in which evicting again was not proved", WHAT_WORKS)
    if not _sees_all(kwargs.get("attention_mask"), tokens, keys.shape[2]):
        raise layer.refuse("its attention mask hides more or less than what comes later", WHAT_WORKS)
    return layer


def _sees_all(mask: Any, tokens: int, rows: int) -> bool:
    """Whether each of the run's queries sees all that is cached up to itself."""
    if mask is None:
        return True
    if not isinstance(mask, Tensor) or mask.ndim not in (2, 4):
        return False
    if mask.ndim == 2:
        return bool((mask != 0).all())
    seen = mask if mask.dtype == torch.bool else mask > torch.finfo(mask.dtype).min / 2
    last = torch.arange(rows - tokens, rows, device=mask.device)
    return bool((seen[..., :rows] == (torch.arange(rows, device=mask.device) <= last[:, None])).all())


def with_run(cache: Any, layer: Layer, rows: int, queries: Tensor | None, wanted: int) -> Left:
    """What is cached with the run's own tokens, and of the queries the latest that are wanted."""
    before: Left | None = vars(cache).get(LEFT, {}).get(layer.module.layer_idx)
    if before is None or before.seen != layer.start or before.positions.shape[2] + layer.tokens != rows:
        raise layer.refuse(
            "its cache is not what this press left of the text so far, so which tokens it holds is not known",
            WHAT_WORKS,
        )
    batch, heads = layer.keys.shape[:2]
    at = layer.start + torch.arange(layer.tokens, device=layer.keys.device)
    positions = torch.cat((before.positions, at.expand(batch, heads, -1)), -1)
    if queries is not None and before.queries is not None:
        queries = torch.cat((before.queries, queries), 2)
        queries = queries if wanted == ALL_QUERIES else queries[:, :, -wanted:]
    return Left(positions, layer.start + layer.tokens, queries)
