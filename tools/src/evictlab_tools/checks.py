"""Proof, on the very run that is read, that q, k, v, scale, window and RoPE say all that a layer's attention does.

- Attention recomputed from these gives what the layer put out, and what the model's own eager attention gives, which
  alone knows what every argument means.
- RoPE has one frequency a pair of dimensions: the queries without rotation, rotated by the frequencies that the rotary
  embedding used on this run, are the layer's. A layer that does not rotate gets frequencies of 0.
- Nothing else makes queries depend on positions.

Outputs are compared for some rows of every run, spread over all of it; RoPE for all.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import inspect
import math
import sys
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import Cache

from evictlab_tools.attention import Call, LayerAttention, doubles, queries_of, recompute_weights, refusal
from evictlab_tools.errors import ToolError
from evictlab_tools.prompt.rotation import Rope
from evictlab_tools.rope import find_rope, tolerance

ROWS = 64  # of a run's queries whose outputs are recomputed
LATER_ROWS = 8  # of each later chunk, where a document is run in chunks
FAR = 1_000_003  # positions: so far are they moved to see whether queries depend on them
KNOWN_ARGUMENTS = {
    "hidden_states",
    "x",
    "position_embeddings",
    "attention_mask",
    "position_ids",
    "cache_position",
    "past_key_values",
}


def prove(layer: int, attention: LayerAttention, arguments: dict[str, Any], turned_by: Sequence[Tensor]) -> None:
    """Sets the attention's RoPE; ToolError where anything was not proved.

    `arguments`, by name, are those of the module's call, and `turned_by` the frequencies that rotary embeddings used.
    """
    call = attention.call
    assert call is not None
    given, attention.call, attention.projected = attention.projected, None, None
    _prove_output(layer, attention, call)
    attention.projects = given is not None and _same(given, attention.output, tolerance(call.q.dtype))
    attention.rope = _prove_rope(layer, attention, arguments, turned_by, tolerance(call.q.dtype))


def arguments_of(module: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    bound = inspect.signature(module.forward).bind(*args, **kwargs).arguments
    extra = bound.pop("kwargs", {})
    return {**bound, **extra}


def _close(a: Tensor, b: Tensor, bound: float) -> bool:
    """[heads][...]: of each head's largest value."""
    if a.shape != b.shape:
        return False
    largest = b.abs().flatten(1).amax(-1).clamp_min(1e-30)
    return bool(((a - b).abs().flatten(1).amax(-1) <= bound * largest).all())


def _same(a: Tensor, b: Tensor, bound: float) -> bool:
    return a.shape == b.shape and bool((a - b).abs().max() <= bound * b.abs().max())


def _rows(tokens: int, count: int) -> list[int]:
    return sorted({round(i * (tokens - 1) / (count - 1)) for i in range(count)})


def _prove_output(layer: int, attention: LayerAttention, call: Call) -> None:
    heads, tokens, dim = attention.q.shape
    group = heads // attention.k.shape[0]
    rows = torch.tensor(_rows(tokens, LATER_ROWS if attention.first > 0 else ROWS), device=call.q.device)
    expected = torch.stack(
        [recompute_weights(attention, head, rows) @ doubles(attention.v[head // group]) for head in range(heads)]
    ).to(call.q.device, torch.float32)  # [H_q][rows][d]
    given = attention.output[rows].reshape(len(rows), heads, dim).transpose(0, 1)
    if not _close(given, expected, tolerance(call.q.dtype)):
        raise refusal(
            layer,
            attention.module,
            "softmax(scale q k) v over the causal or sliding window is not what its attention gives, so it is no "
            "standard attention and a trace cannot hold it",
        )
    own = _eager(layer, attention, call, rows)
    if not _close(own.transpose(0, 1), expected, tolerance(torch.float32)):
        more = ", ".join(sorted(_more_options(call.options)))
        raise refusal(
            layer,
            attention.module,
            "the model's own eager attention gives something else than softmax(scale q k) v over the causal or sliding "
            f"window{f' (it is also given {more})' if more else ''}, and a trace cannot hold that",
        )


def _more_options(options: dict[str, Any]) -> list[str]:
    usual = {"scaling", "sliding_window", "dropout", "is_causal", "position_ids", "cache_position", "use_cache"}
    return [name for name, value in options.items() if name not in usual and value is not None and value is not False]


def _eager(layer: int, attention: LayerAttention, call: Call, rows: Tensor) -> Tensor:
    """[rows][H_q][d] by the model's own eager attention, in single precision."""
    module = attention.module
    home = next(kind for kind in type(module).__mro__ if "forward" in vars(kind)).__module__
    function = getattr(sys.modules[home], "eager_attention_forward", None)
    if function is None:
        raise refusal(layer, module, f"{home} has no eager attention, so what its attention computes was not proved")
    options = {name: value for name, value in call.options.items() if name != "dropout"}
    mask = _additive(call, rows, bool(options.get("is_causal", getattr(module, "is_causal", True)) is not False))
    q, k, v = (x.float() for x in (call.q[:, :, rows], call.k, call.v))
    try:
        with torch.no_grad():
            output: Tensor = function(module, q, k, v, mask, **{"dropout": 0.0, **options})[0]
    except Exception as error:
        raise refusal(
            layer, module, f"its eager attention could not be run on recorded queries ({type(error).__name__}: {error})"
        ) from error
    return output[0].float().reshape(len(rows), q.shape[1], -1)


def _additive(call: Call, rows: Tensor, causal: bool) -> Tensor:
    """The mask of some rows, as eager attention adds it to logits: [1][1 or H_q][rows][N]."""
    hidden = torch.finfo(torch.float32).min
    if call.mask is None:
        tokens = torch.arange(call.k.shape[2], device=rows.device)
        last = (rows if causal else torch.full_like(rows, len(tokens))) + (call.k.shape[2] - call.q.shape[2])
        seen = tokens[None, :] <= last[:, None]
        return torch.zeros(seen.shape, device=rows.device).masked_fill_(~seen, hidden)[None, None]
    mask = call.mask[:, :, rows]
    if mask.dtype == torch.bool:
        return torch.zeros(mask.shape, device=mask.device).masked_fill_(~mask, hidden)
    return mask.float()


def _prove_rope(
    layer: int,
    attention: LayerAttention,
    arguments: dict[str, Any],
    turned_by: Sequence[Tensor],
    bound: float,
) -> Rope:
    module = attention.module

    def refused(why: str) -> ToolError:
        return refusal(layer, module, why)

    rotation = arguments.get("position_embeddings")
    if rotation is None:
        raise refused("it is given no rotary position embeddings, so how it turns queries was not proved")
    if not isinstance(rotation, (tuple, list)) or len(rotation) != 2 or any(x.is_complex() for x in rotation):
        raise refused(
            "its rotary position embeddings are not cosines and sines, so how it turns queries was not proved"
        )
    for name, value in arguments.items():
        if name not in KNOWN_ARGUMENTS and _has_tensors(value):
            raise refused(f"its attention is also given {name}, whose part in it was not proved")
    before = _again(layer, module, arguments, [torch.ones_like(rotation[0]), torch.zeros_like(rotation[1])], 0)
    moved = _again(layer, module, arguments, [torch.ones_like(rotation[0]), torch.zeros_like(rotation[1])], FAR)
    if not _close(moved, before, bound):
        raise refused("its queries depend on their positions by more than RoPE (a temperature by position, say)")
    tokens, dim = before.shape[1:]
    assert isinstance(attention.q, Tensor)
    if torch.equal(before, attention.q) and attention.first + tokens > 1:
        return Rope(torch.zeros(dim // 2))
    scale = _scale_of(rotation, attention.first)
    rope = find_rope(turned_by, before, attention.q, scale, bound, attention.first)
    if rope is None:
        raise refused(
            "its queries are not what they were before RoPE, turned by the frequencies of its rotary embedding in half-"
            "split or interleaved pairs; norms and scalings of queries after RoPE, and RoPE of several parts, are not "
            "supported"
        )
    return Rope(rope.frequencies.cpu(), rope.factor, None if rope.order is None else rope.order.cpu())


def _scale_of(rotation: Sequence[Tensor], first: int) -> float:
    """The factor on cosines and sines. At position 0 the cosine is it."""
    if first == 0:
        return float(rotation[0].flatten()[0])
    cos, sin = (part.flatten(0, -2)[0, 0].item() for part in rotation)
    scale = math.hypot(cos, sin)
    return 1.0 if abs(scale - 1) <= tolerance(rotation[0].dtype) else scale  # of which they are rounded


def _has_tensors(value: Any) -> bool:
    if isinstance(value, (tuple, list)):
        return any(_has_tensors(part) for part in value)
    return isinstance(value, Tensor)


def _again(
    layer: int, module: torch.nn.Module, arguments: dict[str, Any], rotation: Sequence[Tensor], by: int
) -> Tensor:
    """The queries with another rotation, and positions moved."""

    def moved(name: str, value: Any) -> Any:
        if name == "position_embeddings":
            return tuple(rotation)
        if isinstance(value, Cache):  # which would take the keys once more
            return None
        whole = isinstance(value, Tensor) and not value.is_floating_point() and value.dtype != torch.bool
        return value + by if whole and "position" in name else value

    try:
        return queries_of(module, {name: moved(name, value) for name, value in arguments.items()})
    except Exception as error:
        raise refusal(
            layer, module, f"its queries without rotation could not be had ({type(error).__name__}: {error})"
        ) from error


def prove_caches(layers: dict[int, LayerAttention]) -> None:
    """No two layers read one cache: evicting from one would evict from the other."""
    seen: dict[tuple[int, ...], list[int]] = {}
    for layer, attention in layers.items():
        for other in seen.setdefault(tuple(attention.k.shape), []):
            if torch.equal(attention.k[:, -1], layers[other].k[:, -1]) and torch.equal(attention.k, layers[other].k):
                raise refusal(
                    layer, attention.module, f"it reads the KV cache of layer {other}, and each is judged alone"
                )
        seen[tuple(attention.k.shape)].append(layer)
