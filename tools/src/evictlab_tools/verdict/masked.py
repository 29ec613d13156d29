"""Attention of a continuation over a prompt's recorded keys and values, some of which are hidden from it.

The prompt runs once. For each kept set only the continuation runs again: its queries see, in every layer and KV head,
the prompt tokens that are kept and all continuation tokens up to themselves. Positions stay the true ones.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from evictlab_tools.attention import ATTENTION as RECORDER
from evictlab_tools.attention import LayerAttention

ATTENTION = "evictlab_masked"  # records as the recorder does, but for what runs under `hiding`


@dataclass(frozen=True)
class PromptLayer:
    """What the continuation's queries find in one layer: k and v [H_kv][n][d]."""

    k: Tensor
    v: Tensor
    scale: float
    window: int


@dataclass(frozen=True)
class _Hidden:
    layers: Mapping[int, PromptLayer]
    kept: Sequence[Tensor]  # [layer], bool [H_kv][n]
    added: Mapping[int, Tensor] | None = None  # [1][m][H_q][d], to the heads' outputs


_hidden: list[_Hidden] = []


def prompt_layer(attention: LayerAttention, prompt: int) -> PromptLayer:
    return PromptLayer(attention.k[:, :prompt], attention.v[:, :prompt], attention.scale, attention.window)


@contextmanager
def _hiding(
    layers: Mapping[int, PromptLayer], kept: Sequence[Tensor], added: Mapping[int, Tensor] | None = None
) -> Iterator[None]:
    _hidden.append(_Hidden(layers, kept, added))
    try:
        yield
    finally:
        _hidden.pop()


def visible(kept: Tensor, continuation: int, window: int) -> Tensor:
    """What each of the continuation's queries sees: bool [H_kv][m][n + m]."""
    kv_heads, prompt = kept.shape
    query = torch.arange(prompt, prompt + continuation)[:, None]
    age = query - torch.arange(prompt + continuation)[None, :]
    seen = (age >= 0) & (age < window) if window > 0 else age >= 0
    all_kept = torch.cat((kept, kept.new_ones(kv_heads, continuation)), -1)
    return seen[None] & all_kept[:, None]


def _attention(
    module: torch.nn.Module, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, dropout: float = 0.0, **options: Any
) -> tuple[Tensor, None]:
    if not _hidden:
        recorded: tuple[Tensor, None] = ALL_ATTENTION_FUNCTIONS[RECORDER](module, q, k, v, mask, dropout, **options)
        return recorded
    number = int(module.layer_idx)  # type: ignore[arg-type]
    layer, kept = _hidden[-1].layers[number], _hidden[-1].kept[number]
    group = q.shape[1] // k.shape[1]
    keys = torch.cat((layer.k[None], k), 2).repeat_interleave(group, 1)
    values = torch.cat((layer.v[None], v), 2).repeat_interleave(group, 1)
    seen = visible(kept, q.shape[2], layer.window).repeat_interleave(group, 0)[None]
    output = functional.scaled_dot_product_attention(q, keys, values, attn_mask=seen, scale=layer.scale)
    output = output.transpose(1, 2).contiguous()
    added = _hidden[-1].added
    return (output if added is None else output + added[number]), None


ALL_ATTENTION_FUNCTIONS.register(ATTENTION, _attention)
ALL_MASK_ATTENTION_FUNCTIONS.register(ATTENTION, ALL_MASK_ATTENTION_FUNCTIONS["sdpa"])


def continue_with(
    model: torch.nn.Module,
    ids: Sequence[int],
    prompt: int,
    layers: Mapping[int, PromptLayer],
    kept: Sequence[Tensor],
    added: Mapping[int, Tensor] | None = None,
) -> Tensor:
    """Logits [m][vocabulary] of the continuation's positions; the model was loaded with ATTENTION.

    `added` [1][m][H_q][d], by layer, is added to what the heads put out.
    """
    with _hiding(layers, kept, added):
        output = model(
            input_ids=torch.tensor([list(ids[prompt:])]),
            position_ids=torch.arange(prompt, len(ids))[None],
            use_cache=False,
        )
    logits: Tensor = output.logits[0]
    return logits


@torch.no_grad()
def run_continuation(
    model: torch.nn.Module, ids: Sequence[int], prompt: int, layers: Mapping[int, PromptLayer], kept: Sequence[Tensor]
) -> Tensor:
    return continue_with(model, ids, prompt, layers, kept)
