"""What a model's attention really uses, taken where transformers hands it to the attention function.

The function registered here sees q, k and v after RoPE and any normalisation, the softmax scale and the sliding window.
Everything that a trace cannot say (soft capping, attention sinks, position biases) is refused, by name where the
function is told of it, and else by `checks.py`, which compares outputs.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from evictlab_tools.errors import ToolError

ATTENTION = "evictlab_recorder"  # the attention function's name in the registry
UNSUPPORTED = {"softcap": "soft capping", "s_aux": "attention sinks", "sinks": "attention sinks"}


@dataclass
class LayerAttention:
    """One call of one layer's attention: q [H_q][N][d], k and v [H_kv][N][d], output [N][H_q * d]."""

    module: torch.nn.Module
    q: Tensor
    k: Tensor
    v: Tensor
    output: Tensor
    scale: float
    window: int  # query i sees keys j with i - j < window; 0: all j <= i


@dataclass
class Recorder:
    """Keeps the calls of the wanted layers (None: of all), the last one of each layer."""

    wanted: set[int] | None = None
    layers: dict[int, LayerAttention] = field(default_factory=dict)


_recorders: ContextVar[tuple[Recorder, ...]] = ContextVar("recorders", default=())  # each thread's own


@contextmanager
def recording(wanted: Sequence[int] | None = None) -> Iterator[Recorder]:
    recorder = Recorder(None if wanted is None else set(wanted))
    token = _recorders.set((*_recorders.get(), recorder))
    try:
        yield recorder
    finally:
        _recorders.reset(token)


def _attention(
    module: torch.nn.Module, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, dropout: float = 0.0, **options: Any
) -> tuple[Tensor, None]:
    output, _ = sdpa_attention_forward(module, q, k, v, mask, dropout, **options)
    layer = getattr(module, "layer_idx", None)
    for recorder in _recorders.get():
        if layer is None:
            raise ToolError(
                f"{type(module).__name__} does not say which layer it is of (layer_idx), so it cannot be told"
            )
        if recorder.wanted is None or layer in recorder.wanted:
            recorder.layers[layer] = _layer_attention(module, layer, q, k, v, output, options)
    return output, None


def _layer_attention(
    module: torch.nn.Module, layer: int, q: Tensor, k: Tensor, v: Tensor, output: Tensor, options: dict[str, Any]
) -> LayerAttention:
    for option, what in UNSUPPORTED.items():
        if options.get(option) is not None:
            raise ToolError(f"layer {layer} ({type(module).__name__}) uses {what}, which a trace cannot say")
    if v.shape != k.shape or q.shape[-1] != k.shape[-1] or q.shape[1] % k.shape[1] != 0:
        raise ToolError(
            f"layer {layer} ({type(module).__name__}) has q {list(q.shape[1:])}, k {list(k.shape[1:])} and v "
            f"{list(v.shape[1:])}: heads of q, k and v must have one size, and KV heads must divide query heads"
        )
    scale = options.get("scaling")
    window = options.get("sliding_window")
    return LayerAttention(
        module,
        q[0].float(),
        k[0].float(),
        v[0].float(),
        output[0].reshape(output.shape[1], -1).float(),
        float(q.shape[-1] ** -0.5 if scale is None else scale),
        0 if window is None else int(window),
    )


ALL_ATTENTION_FUNCTIONS.register(ATTENTION, _attention)
ALL_MASK_ATTENTION_FUNCTIONS.register(ATTENTION, ALL_MASK_ATTENTION_FUNCTIONS["sdpa"])


@torch.no_grad()
def run(model: torch.nn.Module, ids: Sequence[int]) -> None:
    """One pass over the tokens; the vocabulary's logits of the last one only, for they are large."""
    model(input_ids=torch.tensor([list(ids)]), use_cache=False, logits_to_keep=1)


def recompute_weights(layer: LayerAttention, head: int) -> Tensor:
    """Attention [N][N] of one query head from q, k, scale and window alone, in double precision."""
    group = layer.q.shape[0] // layer.k.shape[0]
    logits = layer.scale * (layer.q[head].double() @ layer.k[head // group].double().T)
    position = torch.arange(logits.shape[0])
    age = position[:, None] - position[None, :]
    visible = age >= 0
    if layer.window > 0:
        visible &= age < layer.window
    return logits.masked_fill(~visible, float("-inf")).softmax(-1)


def output_projection(layer: int, attention: LayerAttention) -> Tensor:
    """W_o [hidden][H_q * d], which turns the heads' outputs into the attention block's."""
    for name in ("o_proj", "out_proj", "dense", "wo"):
        projection = getattr(attention.module, name, None)
        if isinstance(projection, torch.nn.Linear):
            heads = attention.q.shape[0] * attention.q.shape[2]
            if projection.in_features != heads:
                break
            return projection.weight.detach().float()
    raise ToolError(
        f"layer {layer} ({type(attention.module).__name__}) has no linear output projection over its heads; "
        "--no-output-projection captures without (the suite then has no output error)"
    )
