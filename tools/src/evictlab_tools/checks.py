"""Proof, on the model itself, that a trace says all that its attention does: done once before anything is captured.

- Attention recomputed from q, k, v, scale and window gives the heads' outputs.
- RoPE is the half-split form with one frequency a pair: the layer run again without rotation, then rotated by the
  frequencies found, gives q. A layer that does not rotate gets frequencies of 0.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from evictlab_tools.attention import LayerAttention, recompute_weights, recording, run
from evictlab_tools.errors import ToolError

CHECKED_TOKENS = 1024
TOLERANCE = 1e-3  # of the largest value; a wrong reading is off by tenths


@dataclass(frozen=True)
class Rope:
    inv_freq: Tensor  # [d / 2], radians a position, of the pairs (t, t + d/2)
    scale: float  # factor on cosines and sines


@dataclass(frozen=True)
class LayerFacts:
    rope: Rope
    scale: float
    window: int


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    half = x.shape[-1] // 2
    return x * cos + torch.cat((-x[..., half:], x[..., :half]), -1) * sin


def _cos_sin(rope: Rope, tokens: int) -> tuple[Tensor, Tensor]:
    angles = torch.arange(tokens).float()[:, None] * rope.inv_freq[None, :].float()
    angles = torch.cat((angles, angles), -1)
    return angles.cos() * rope.scale, angles.sin() * rope.scale


def _close(a: Tensor, b: Tensor) -> bool:
    return a.shape == b.shape and bool((a - b).abs().max() <= TOLERANCE * b.abs().max().clamp_min(1e-30))


@contextmanager
def _arguments_kept(model: torch.nn.Module) -> Iterator[dict[torch.nn.Module, dict[str, Any]]]:
    """The arguments, by name, with which modules of a layer are called."""
    kept: dict[torch.nn.Module, dict[str, Any]] = {}

    def keep(module: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        bound = inspect.signature(module.forward).bind(*args, **kwargs).arguments
        extra = bound.pop("kwargs", {})
        kept[module] = {**bound, **extra}

    handles = [
        module.register_forward_pre_hook(keep, with_kwargs=True)
        for module in model.modules()
        if hasattr(module, "layer_idx")
    ]
    try:
        yield kept
    finally:
        for handle in handles:
            handle.remove()


def _check_output(layer: int, attention: LayerAttention) -> None:
    group = attention.q.shape[0] // attention.k.shape[0]
    heads = [
        recompute_weights(attention, head) @ attention.v[head // group].double() for head in range(attention.q.shape[0])
    ]
    if not _close(torch.cat(heads, -1).float(), attention.output):
        raise ToolError(
            f"layer {layer} ({type(attention.module).__name__}): softmax(scale q k) v over the causal or sliding "
            "window is not what its attention gives, so it is no standard attention and a trace cannot hold it"
        )


def _find_rope(model: torch.nn.Module, layer: int, cos: Tensor, sin: Tensor, dim: int) -> Rope:
    scale = float(cos[0, 0])
    for name, buffer in model.named_buffers():
        if name.rsplit(".", 1)[-1].endswith("inv_freq") and buffer.numel() * 2 == dim:
            rope = Rope(buffer.detach().float().flatten(), scale)
            expected = _cos_sin(rope, cos.shape[0])
            if _close(expected[0], cos) and _close(expected[1], sin):
                return rope
    raise ToolError(
        f"layer {layer}: its rotary embedding (cosines {list(cos.shape)}) is not the half-split form over all {dim} "
        "dimensions with the model's inv_freq; partial and interleaved RoPE are not supported"
    )


def _layer_facts(
    model: torch.nn.Module, layer: int, attention: LayerAttention, arguments: dict[str, Any]
) -> LayerFacts:
    if (rotation := arguments.get("position_embeddings")) is None:
        raise ToolError(f"layer {layer} ({type(attention.module).__name__}) is given no rotary position embeddings")
    with recording([layer]) as again, torch.no_grad():
        unrotated = tuple(torch.ones_like(x) if i == 0 else torch.zeros_like(x) for i, x in enumerate(rotation))
        attention.module(**{**arguments, "position_embeddings": unrotated})
    before = again.layers[layer].q
    dim = before.shape[-1]
    if torch.equal(before, attention.q) and len(before[0]) > 1:
        return LayerFacts(Rope(torch.zeros(dim // 2), 1.0), attention.scale, attention.window)
    cos, sin = (x.float().reshape(-1, x.shape[-1]) for x in rotation)
    rope = _find_rope(model, layer, cos, sin, dim)
    if not _close(rotate(before, *_cos_sin(rope, before.shape[1])), attention.q):
        raise ToolError(
            f"layer {layer} ({type(attention.module).__name__}): its queries are not half-split rotations of what they "
            "were before RoPE; interleaved RoPE and later scalings of queries are not supported"
        )
    return LayerFacts(rope, attention.scale, attention.window)


def check_layers(model: torch.nn.Module, ids: Sequence[int], layers: Sequence[int]) -> dict[int, LayerFacts]:
    """Facts of each layer, or ToolError for the first that a trace cannot hold."""
    with recording(layers) as recorder, _arguments_kept(model) as arguments:
        run(model, ids[:CHECKED_TOKENS])
    facts: dict[int, LayerFacts] = {}
    for layer in layers:
        if (attention := recorder.layers.get(layer)) is None:
            raise ToolError(
                f"layer {layer} was not seen: it has no attention, or an attention that does not go through "
                "transformers' registry of attention functions (ALL_ATTENTION_FUNCTIONS); --layers can leave it out"
            )
        _check_output(layer, attention)
        facts[layer] = _layer_facts(model, layer, attention, arguments[attention.module])
    if len({fact.scale for fact in facts.values()}) > 1:
        raise ToolError("the layers have different softmax scales, and a trace holds one; capture them one by one")
    return facts
