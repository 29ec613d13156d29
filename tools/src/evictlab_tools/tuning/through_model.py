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
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from evictlab_tools.attention import register
from evictlab_tools.masked import ATTENTION as MASKED
from evictlab_tools.masked import PromptLayer, logits_of_copies, visible
from evictlab_tools.verdict.judge import DocumentRun

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
    keys, values = (
        torch.cat((cached.gather(1, index).float(), added), 1) for cached, added in ((layer.k, k), (layer.v, v))
    )
    counts = torch.full((kv_heads,), places, device=q.device)
    seen = visible(chosen.places, counts, prompt, continuation, layer.window).repeat(1, group, 1)
    queries = q.reshape(kv_heads, group * continuation, dim)
    output: Tensor = _Multiplication.apply(  # type: ignore[no-untyped-call]
        layer.scale * queries, keys, values, chosen.kept, ~seen
    )
    return output.reshape(heads, continuation, dim)


class _Multiplication(torch.autograd.Function):
    """Of queries [H][r][d], already scaled, keys and values [H][c + m][d], the multiplicities [H][c] of the first c,
    and what is hidden, bool [H][r][c + m]."""

    @staticmethod
    def forward(ctx: Any, queries: Tensor, keys: Tensor, values: Tensor, kept: Tensor, hidden: Tensor) -> Tensor:
        logits = (queries @ keys.transpose(1, 2)).masked_fill_(hidden, float("-inf"))
        alone = logits.sub_(logits.amax(-1, keepdim=True)).exp_()
        cached = alone[..., : kept.shape[-1]]
        unweighted = cached.clone() if kept.requires_grad else None
        cached.mul_(kept[:, None])
        total = alone.sum(-1, keepdim=True)
        output = (alone @ values).div_(total)
        ctx.save_for_backward(queries, keys, values, kept, alone, unweighted, total, output)
        return output

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor | None, ...]:
        queries, keys, values, kept, weights, alone, total, output = ctx.saved_tensors
        changed = slope @ values.transpose(1, 2)
        changed -= (slope * output).sum(-1, keepdim=True)  # [H][r][c + m]: what v - o would do
        of_values = (weights / total).transpose(1, 2) @ slope if ctx.needs_input_grad[2] else None
        of_kept = None
        if ctx.needs_input_grad[3]:
            left = torch.where(kept[:, None] > 0, (total - alone).clamp_min_(LEAST_LEFT * total), total + alone)
            of_kept = (alone / left).mul_(changed[..., : kept.shape[-1]]).sum(1)
        of_logits = changed.mul_(weights).div_(total)
        return of_logits @ keys, of_logits.transpose(1, 2) @ queries, of_values, of_kept, None


def _attention(
    module: torch.nn.Module,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    attention_mask: Tensor | None,
    dropout: float = 0.0,
    **options: Any,
) -> tuple[Tensor, None]:
    multiplied = _multiplied.get()
    if multiplied is None:
        judged: tuple[Tensor, None] = ALL_ATTENTION_FUNCTIONS[MASKED](
            module, q, k, v, attention_mask, dropout, **options
        )
        return judged
    number = int(module.layer_idx)  # type: ignore[arg-type]
    dtype, (q, k, v) = q.dtype, (x.float() for x in (q, k, v))
    outputs = [
        attend(of_budget[number], multiplied.layers[number], multiplied.prompt, q[b], k[b], v[b])
        for b, of_budget in enumerate(multiplied.chosen)
    ]
    return torch.stack(outputs).transpose(1, 2).contiguous().to(dtype), None


register(ATTENTION, _attention)


def divergences(run: DocumentRun, chosen: Sequence[Sequence[Chosen]]) -> Tensor:
    """KL divergence [budget], nats a token, of [budget][layer]; the run's model was loaded with ATTENTION.

    In single precision, for gradients: figures are the judge's.
    """
    document = run.document
    with _multiplying(_Multiplied(run.prompt_layers, chosen, document.prompt)):
        logits = logits_of_copies(run.model, document.ids, document.prompt, len(chosen)).float()
    full = run.predictions.logits.to(logits.device, torch.float32).log_softmax(-1)
    p = full.exp()
    entropy = -(p * full).sum(-1)
    return (logits.logsumexp(-1) - (p * logits).sum(-1) - entropy).mean(-1)
