"""How a model's KL divergence hangs on every single token that is kept or evicted.

Each of some tokens of the prompt has a multiplicity in its KV head: 1 is kept, 0 evicted. What the model predicts is
what it predicts with these, and the derivative by a multiplicity is that of a straight line from the present output to
the one that follows if this token alone were evicted or kept: the tangent would promise a token with most of the
attention many times what it can change. With o the output over what is kept, Z the sum of its weights and e, v the
token's weight and value, keeping an evicted token changes o by e/(Z + e) (v - o), evicting a kept one by
-e/(Z - e) (v - o).
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from evictlab_tools.verdict.judge import DocumentRun
from evictlab_tools.verdict.masked import ATTENTION as MASKED
from evictlab_tools.verdict.masked import PromptLayer, logits_of_copies, visible

ATTENTION = "evictlab_multiplied"  # as the judge's, but for what runs under `_multiplying`
LEAST_LEFT = 0.1  # of Z, that evicting one token is taken to leave: else o changes without bound


@dataclass(frozen=True)
class Chosen:
    """What the continuation may find in one layer at one budget: tokens [H_kv][c], and which of them are kept."""

    places: Tensor  # int64
    kept: Tensor  # float32, 0 or 1


@dataclass(frozen=True)
class _Multiplied:
    layers: Mapping[int, PromptLayer]
    chosen: Sequence[Sequence[Chosen]]  # [budget][layer]
    prompt: int


_multiplied: ContextVar[_Multiplied | None] = ContextVar("multiplied", default=None)


@contextmanager
def _multiplying(multiplied: _Multiplied) -> Iterator[None]:
    token = _multiplied.set(multiplied)
    try:
        yield
    finally:
        _multiplied.reset(token)


def attend(chosen: Chosen, layer: PromptLayer, prompt: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """q [H_q][m][d], k and v [H_kv][m][d]; the same of the output as q."""
    heads, continuation, dim = q.shape
    kv_heads, places = chosen.places.shape
    group = heads // kv_heads
    index = chosen.places[:, :, None].expand(-1, -1, dim)
    cached = layer.v.gather(1, index)
    keys, values = torch.cat((layer.k.gather(1, index), k), 1), torch.cat((cached, v), 1)
    counts = torch.full((kv_heads,), places)
    seen = visible(chosen.places, counts, prompt, continuation, layer.window).repeat(1, group, 1)
    logits = layer.scale * (q.reshape(kv_heads, group * continuation, dim) @ keys.transpose(1, 2))
    logits = logits.masked_fill(~seen, float("-inf"))
    alone = (logits - logits.detach().amax(-1, keepdim=True)).exp()
    kept = chosen.kept.detach()
    weights = alone * torch.cat((kept, torch.ones(kv_heads, continuation)), 1)[:, None]
    total = weights.sum(-1, keepdim=True)
    output = weights @ values / total
    if chosen.kept.requires_grad:
        with torch.no_grad():
            alone, total = alone[..., :places], total.detach()
            left = torch.where(kept[:, None] > 0, (total - alone).clamp_min(LEAST_LEFT * total), total + alone)
            share = alone / left
        moved = share * (chosen.kept - kept)[:, None]
        output = output + moved @ cached - moved.sum(-1, keepdim=True) * output.detach()
    return output.reshape(heads, continuation, dim)


def _attention(
    module: torch.nn.Module, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, dropout: float = 0.0, **options: Any
) -> tuple[Tensor, None]:
    multiplied = _multiplied.get()
    if multiplied is None:
        judged: tuple[Tensor, None] = ALL_ATTENTION_FUNCTIONS[MASKED](module, q, k, v, mask, dropout, **options)
        return judged
    number = int(module.layer_idx)  # type: ignore[arg-type]
    outputs = [
        attend(of_budget[number], multiplied.layers[number], multiplied.prompt, q[b], k[b], v[b])
        for b, of_budget in enumerate(multiplied.chosen)
    ]
    return torch.stack(outputs).transpose(1, 2).contiguous(), None


ALL_ATTENTION_FUNCTIONS.register(ATTENTION, _attention)
ALL_MASK_ATTENTION_FUNCTIONS.register(ATTENTION, ALL_MASK_ATTENTION_FUNCTIONS["sdpa"])


def divergences(run: DocumentRun, chosen: Sequence[Sequence[Chosen]]) -> Tensor:
    """KL divergence [budget], nats a token, of [budget][layer]; the run's model was loaded with ATTENTION.

    In single precision, for gradients: figures are the judge's.
    """
    document = run.document
    with _multiplying(_Multiplied(run.prompt_layers, chosen, document.prompt)):
        logits = logits_of_copies(run.model, document.ids, document.prompt, len(chosen)).float()
    full = run.predictions.logits.float().log_softmax(-1)
    p = full.exp()
    entropy = -(p * full).sum(-1)
    return (logits.logsumexp(-1) - (p * logits).sum(-1) - entropy).mean(-1)
