"""Attention of a continuation over a prompt's recorded keys and values, some of which are hidden from it.

The prompt runs once. For each kept set only the continuation runs again: its queries see, in every layer and KV head,
the prompt tokens that are kept and all continuation tokens up to themselves. Positions stay the true ones. Several kept
sets run as one batch, and of the prompt's keys and values only the kept ones are read.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.nn import functional
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from evictlab_tools.attention import ATTENTION as RECORDER
from evictlab_tools.attention import FLASH, WHAT_WORKS, LayerAttention, register
from evictlab_tools.errors import ToolError
from evictlab_tools.prefill import tokens_of
from evictlab_tools.reading import agree

ATTENTION = "evictlab_masked"  # records as the recorder does, but for what runs under `attending`


@dataclass(frozen=True)
class PromptLayer:
    """What the continuation's queries find in one layer: k and v [H_kv][n][d], in float32 or the model's type."""

    k: Tensor
    v: Tensor
    scale: float
    window: int


Observer = Callable[[int, Tensor, Tensor], None]  # of a layer: its q [H_q][m][d] and k [H_kv][m][d], float


class Attending(Protocol):
    """What takes the attention's place for a while."""

    def attend(self, number: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """[batch][H_q][m][d] of a layer, of q [batch][H_q][m][d] and its own tokens' k and v [batch][H_kv][m][d],
        float."""
        ...


@dataclass(frozen=True)
class _Hidden:
    layers: Mapping[int, PromptLayer]
    kept: Sequence[Sequence[Tensor]]  # [batch][layer], bool [H_kv][n]
    added: Mapping[int, Tensor] | None = None  # [1][m][H_q][d], to the heads' outputs
    observe: Observer | None = None
    # By kept tokens and the continuation's: the bias where all heads keep as many.
    causal: dict[tuple[Any, ...], Tensor] = field(default_factory=dict)

    def attend(self, number: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        if self.observe is not None:
            self.observe(number, q[0].detach(), k[0].detach())
        layer = self.layers[number]
        outputs = [_attend(self, layer, kept[number], q[b], k[b], v[b]) for b, kept in enumerate(self.kept)]
        output = torch.stack(outputs)
        return output if self.added is None else output + self.added[number].transpose(1, 2)


_attending: ContextVar[Attending | None] = ContextVar("attending", default=None)  # each thread's own


def prompt_layer(attention: LayerAttention, prompt: int) -> PromptLayer:
    return PromptLayer(attention.k[:, :prompt], attention.v[:, :prompt], attention.scale, attention.window)


def all_kept(layers: Mapping[int, PromptLayer]) -> list[Tensor]:
    """[layer] of bool [H_kv][n]."""
    keys = (layers[number].k for number in sorted(layers))
    return [torch.ones(k.shape[:2], dtype=torch.bool, device=k.device) for k in keys]


@contextmanager
def attending(instead: Attending) -> Iterator[None]:
    """The attention of models that were loaded with ATTENTION is `instead`."""
    token = _attending.set(instead)
    try:
        yield
    finally:
        _attending.reset(token)


def visible(places: Tensor, counts: Tensor, prompt: int, continuation: int, window: int) -> Tensor:
    """What each of the continuation's queries sees: bool [H_kv][m][c + m], of the prompt tokens at `places` [H_kv][c].

    A head sees the first of its places only, as many as its count [H_kv] says.
    """
    kv_heads, most = places.shape
    query = torch.arange(prompt, prompt + continuation, device=places.device)
    position = torch.cat((places, query.expand(kv_heads, -1)), -1)
    cached = torch.arange(most, device=places.device) < counts[:, None]
    there = torch.cat((cached, torch.ones_like(counts[:, None], dtype=torch.bool).expand(-1, continuation)), -1)
    age = query[None, :, None] - position[:, None, :]
    seen = (age >= 0) & there[:, None, :]
    return seen & (age < window) if window > 0 else seen


def _bias(seen: Tensor, group: int) -> Tensor:
    """What is added to the logits: [1][H_kv][group * m][c + m]."""
    return torch.zeros(seen.shape, device=seen.device).masked_fill_(~seen, float("-inf")).repeat(1, group, 1)[None]


def _attend(hidden: _Hidden, layer: PromptLayer, kept: Tensor, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """One of the batch: q [H_q][m][d], k and v [H_kv][m][d]. The queries of a group's heads run as one head's."""
    heads, continuation, dim = q.shape
    kv_heads, prompt = kept.shape
    kept = kept.to(layer.k.device)
    group = heads // kv_heads
    counts = kept.sum(-1)
    most = int(counts.max())
    places = torch.argsort(kept.byte(), dim=-1, descending=True, stable=True)[:, :most]
    if layer.window > 0 or int(counts.min()) < most:
        bias = _bias(visible(places, counts, prompt, continuation, layer.window), group)
    else:
        size = (most, continuation, kept.device)
        if size not in hidden.causal:
            hidden.causal[size] = _bias(visible(places[:1], counts[:1], prompt, continuation, 0), group)
        bias = hidden.causal[size]
    index = places[:, :, None].expand(-1, -1, dim)
    keys, values = (
        torch.cat((cached.gather(1, index).float(), added), 1) for cached, added in ((layer.k, k), (layer.v, v))
    )
    grouped = q.reshape(1, kv_heads, group * continuation, dim)
    output = functional.scaled_dot_product_attention(
        grouped, keys[None], values[None], attn_mask=bias, scale=layer.scale
    )
    return output.reshape(heads, continuation, dim)


def _attend_to_kept(
    recorder: str,
    module: torch.nn.Module,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    attention_mask: Tensor | None,
    dropout: float = 0.0,
    **options: Any,
) -> tuple[Tensor, None]:
    instead = _attending.get()
    if instead is None:
        recorded: tuple[Tensor, None] = ALL_ATTENTION_FUNCTIONS[recorder](
            module, q, k, v, attention_mask, dropout, **options
        )
        return recorded
    output = instead.attend(int(module.layer_idx), q.float(), k.float(), v.float())  # type: ignore[arg-type]
    return output.transpose(1, 2).contiguous().to(q.dtype), None


for kernel in ("", FLASH):
    register(ATTENTION + kernel, partial(_attend_to_kept, RECORDER + kernel))


def continue_with(
    model: torch.nn.Module,
    ids: Sequence[int],
    prompt: int,
    layers: Mapping[int, PromptLayer],
    kept: Sequence[Sequence[Tensor]],
    added: Mapping[int, Tensor] | None = None,
) -> Tensor:
    """Logits [kept sets][m][vocabulary] of the continuation's positions; the model was loaded with ATTENTION.

    `added` [1][m][H_q][d], by layer, is added to what the heads put out.
    """
    with attending(_Hidden(layers, kept, added)):
        return logits_of_copies(model, ids, prompt, len(kept))


def read_on(model: torch.nn.Module, fed: Sequence[int], layers: Mapping[int, PromptLayer], observe: Observer) -> None:
    """Runs tokens that follow the whole prompt, and shows what their attention uses; nothing is evicted."""
    tokens, prompt = tokens_of(model, fed), layers[min(layers)].k.shape[1]
    with attending(_Hidden(layers, [all_kept(layers)], observe=observe)):
        model(
            input_ids=tokens,
            position_ids=torch.arange(prompt, prompt + len(fed), device=tokens.device)[None],
            use_cache=False,
            logits_to_keep=1,
        )


def logits_of_copies(model: torch.nn.Module, ids: Sequence[int], prompt: int, copies: int) -> Tensor:
    """[copies][m][vocabulary]: the continuation alone, at its true positions, so many times in one batch."""
    tokens = tokens_of(model, ids[prompt:])
    output = model(
        input_ids=tokens.expand(copies, -1),
        position_ids=torch.arange(prompt, len(ids), device=tokens.device).expand(copies, -1),
        use_cache=False,
    )
    logits: Tensor = output.logits
    return logits


@torch.inference_mode()
def run_continuation(
    model: torch.nn.Module,
    ids: Sequence[int],
    prompt: int,
    layers: Mapping[int, PromptLayer],
    kept: Sequence[Sequence[Tensor]],
) -> Tensor:
    return continue_with(model, ids, prompt, layers, kept)


def check_continuation(
    model: torch.nn.Module, ids: Sequence[int], prompt: int, layers: Mapping[int, LayerAttention], logits: Tensor
) -> None:
    """ToolError unless a continuation that sees all of the prompt says what the whole run said, `logits` [m]."""
    cached = {number: prompt_layer(layer, prompt) for number, layer in layers.items()}
    again = run_continuation(model, ids, prompt, cached, [all_kept(cached)])[0]
    if not agree(again.to(logits.device, torch.float32), logits.float(), logits.dtype):
        raise ToolError(
            f"{type(model).__name__} goes on from its KV cache alone with other predictions than from the text: it "
            "carries something else along (a state or a convolution, say, in or beside its attention), so what "
            f"eviction does to it was not proved; {WHAT_WORKS}"
        )
