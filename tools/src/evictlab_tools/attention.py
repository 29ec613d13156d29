"""What a model's attention really uses, taken where transformers hands it to the attention function.

The function registered here sees q, k and v after RoPE and any normalisation, the softmax scale and the sliding window.
`reading.py` runs a document and has `checks.py` prove, on that very run, that these say all that the attention does.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import partial
from importlib import import_module
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from evictlab_tools.errors import ToolError
from evictlab_tools.prompt.rotation import Rope
from evictlab_tools.spill import SpilledQueries

ATTENTION = "evictlab_recorder"  # the attention function's name in the registry
UNSUPPORTED = {
    "softcap": "soft capping",
    "s_aux": "attention sinks",
    "sinks": "attention sinks",
    "position_bias": "position biases",
    "alibi": "position biases",
}
WHAT_WORKS = (
    "what works is one softmax over a causal or sliding window, with RoPE by one frequency a pair or none, as in "
    "Llama, Mistral, Qwen 2 and 3, Phi, Olmo 2, Cohere, GLM 4 and Gemma 3"
)


FLASH = "_fa2"  # behind such a name: FlashAttention 2 runs documents; transformers loads kernels for names with "flash"


def attention_name(registered: str, kernel: str) -> str:
    """Of the function of that name that runs documents with sdpa or flash_attention_2."""
    return registered + FLASH if kernel == "flash_attention_2" else registered


def doubles(x: Tensor) -> Tensor:
    """In double precision; on the CPU where the device has none."""
    return x.cpu().double() if x.device.type == "mps" else x.double()


def refusal(layer: object, module: torch.nn.Module | None, why: str) -> ToolError:
    """Names the layer and its module, what was not proved, and what works."""
    name = "" if module is None else f" ({type(module).__name__})"
    return ToolError(f"layer {layer}{name}: {why}; {WHAT_WORKS}")


@dataclass
class Call:
    """What the attention function was given: q [1][H_q][N][d], k and v [1][H_kv][N][d], in the model's dtype."""

    q: Tensor
    k: Tensor
    v: Tensor
    mask: Tensor | None
    options: dict[str, Any]


@dataclass
class LayerAttention:
    """One call of one layer's attention: q [H_q][N][d], k and v [H_kv][N][d], output [N][H_q * d].

    Of a chunk of a prompt q and output are of its last tokens alone. Of a document that was read in chunks k and v are
    in the model's type, the queries on disk, and there is no output.
    """

    module: torch.nn.Module
    q: Tensor | SpilledQueries
    k: Tensor
    v: Tensor
    output: Tensor
    scale: float
    window: int  # query i sees keys j with i - j < window; 0: all j <= i
    rope: Rope | None = None  # of a reading: what turned q and k
    projected: Tensor | None = None  # until it is proven: what the module's output projection was given
    projects: bool = False  # of a reading: the module's output projection is given the output as it is
    call: Call | None = None  # until it is proven

    @property
    def first(self) -> int:
        """Position of q's first row."""
        return self.k.shape[1] - self.q.shape[1]


@dataclass
class Recorder:
    """Keeps the calls of the wanted layers (None: of all), one a layer."""

    wanted: set[int] | None = None
    keep_calls: bool = False
    take: Callable[[int, LayerAttention], None] | None = None  # of chunks of a prompt: a layer, once it is proven
    show: Callable[[int, LayerAttention], None] | None = None  # the same of whole documents
    layers: dict[int, LayerAttention] = field(default_factory=dict)
    frequencies: list[Tensor] = field(default_factory=list)  # of a reading: what rotary embeddings turned by


_recorders: ContextVar[tuple[Recorder, ...]] = ContextVar("recorders", default=())  # each thread's own


def recorders() -> tuple[Recorder, ...]:
    return _recorders.get()


@contextmanager
def recording(
    wanted: Sequence[int] | None = None,
    *,
    keep_calls: bool = False,
    take: Callable[[int, LayerAttention], None] | None = None,
    show: Callable[[int, LayerAttention], None] | None = None,
) -> Iterator[Recorder]:
    recorder = Recorder(None if wanted is None else set(wanted), keep_calls, take, show)
    token = _recorders.set((*_recorders.get(), recorder))
    try:
        yield recorder
    finally:
        _recorders.reset(token)


class _Probed(Exception):
    """No error: leaves a module once its queries are known."""

    def __init__(self, q: Tensor) -> None:
        super().__init__()
        self.q = q


_probing: ContextVar[bool] = ContextVar("probing", default=False)


@torch.no_grad()
def queries_of(module: torch.nn.Module, arguments: dict[str, Any]) -> Tensor:
    """[H_q][N][d]: what the module hands to its attention function for these arguments; nothing else is computed."""
    token = _probing.set(True)
    try:
        module.forward(**arguments)
    except _Probed as probed:
        return probed.q[0].float()
    finally:
        _probing.reset(token)
    raise ToolError("its attention was not called again")


def _sdpa(module: torch.nn.Module, call: Call, dropout: float) -> Tensor:
    output: Tensor = sdpa_attention_forward(module, call.q, call.k, call.v, call.mask, dropout, **call.options)[0]
    return output


def _flash(module: torch.nn.Module, call: Call, dropout: float) -> Tensor:
    """FlashAttention 2 itself, whose causal mask ends at the last key, as chunks of a prompt want it."""
    flash_attn_func = import_module("flash_attn").flash_attn_func  # only where it is asked for

    window = _window(call)
    output: Tensor = flash_attn_func(
        *(x.transpose(1, 2) for x in (call.q, call.k, call.v)),
        dropout_p=dropout,
        softmax_scale=_scale(call),
        causal=True,
        window_size=(window - 1, 0) if window > 0 else (-1, -1),
    )
    return output


def _record(
    run: Callable[[torch.nn.Module, Call, float], Tensor],
    module: torch.nn.Module,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    attention_mask: Tensor | None,
    dropout: float = 0.0,
    **options: Any,
) -> tuple[Tensor, None]:
    if _probing.get():
        raise _Probed(q)
    call = Call(q, k, v, attention_mask, options)
    output = run(module, call, dropout)
    for recorder in recorders():
        layer = getattr(module, "layer_idx", None)
        if layer is None:
            raise refusal("?", module, "does not say which layer it is of (layer_idx), so it cannot be told")
        if recorder.wanted is None or layer in recorder.wanted:
            if recorder.keep_calls and layer in recorder.layers:
                raise refusal(layer, module, "its attention is called more than once a pass, and one cache was proven")
            recorder.layers[layer] = _layer_attention(module, layer, call, output, recorder.take is not None)
            if not recorder.keep_calls:
                recorder.layers[layer].call = None
    return output, None


def _window_of_mask(mask: Tensor | None) -> int:
    """What the last query sees, where the attention is told of its window by the mask alone; 0: all."""
    if mask is None:
        return 0
    last = mask[0, 0, -1]
    seen = int(last.sum() if last.dtype == torch.bool else (last == 0).sum())
    return 0 if seen == len(last) else seen


def _window(call: Call) -> int:
    window = call.options.get("sliding_window")
    return _window_of_mask(call.mask) if window is None else int(window)


def _scale(call: Call) -> float:
    scale = call.options.get("scaling")
    return float(call.q.shape[-1] ** -0.5 if scale is None else scale)


def _layer_attention(
    module: torch.nn.Module, layer: int, call: Call, output: Tensor, in_chunks: bool
) -> LayerAttention:
    for option, what in UNSUPPORTED.items():
        if call.options.get(option) is not None:
            raise refusal(layer, module, f"it uses {what}, which a trace cannot say")
    q, k, v = call.q, call.k, call.v
    if v.shape != k.shape or q.shape[-1] != k.shape[-1] or q.shape[1] % k.shape[1] != 0:
        raise refusal(
            layer,
            module,
            f"has q {list(q.shape[1:])}, k {list(k.shape[1:])} and v {list(v.shape[1:])}, but heads of q, k and v must "
            "have one size, and KV heads must divide query heads",
        )
    if (q.shape[2] > k.shape[2] if in_chunks else q.shape[2] != k.shape[2]) or q.shape[0] != 1:
        raise refusal(layer, module, "its queries and keys are not of the same tokens, so it is no self-attention")
    return LayerAttention(
        module,
        q[0].float(),
        k[0] if in_chunks else k[0].float(),
        v[0] if in_chunks else v[0].float(),
        output[0].reshape(output.shape[1], -1).float(),
        _scale(call),
        _window(call),
        call=call,
    )


def register(name: str, function: Callable[..., Any]) -> None:
    """An attention function that is given the masks that sdpa has."""
    ALL_ATTENTION_FUNCTIONS.register(name, function)
    ALL_MASK_ATTENTION_FUNCTIONS.register(name, ALL_MASK_ATTENTION_FUNCTIONS["sdpa"])


register(ATTENTION, partial(_record, _sdpa))
register(ATTENTION + FLASH, partial(_record, _flash))


def recompute_weights(layer: LayerAttention, head: int, rows: Tensor | None = None) -> Tensor:
    """Attention [rows][N] of one query head from q, k, scale and window alone, in double precision; None: all rows.

    Rows are counted from q's first.
    """
    assert isinstance(layer.q, Tensor)
    group = layer.q.shape[0] // layer.k.shape[0]
    position = torch.arange(layer.k.shape[1], device=layer.k.device)
    asked = position[: layer.q.shape[1]] if rows is None else rows
    logits = layer.scale * (doubles(layer.q[head][asked]) @ doubles(layer.k[head // group]).T)
    age = (layer.first + asked[:, None] - position[None, :]).to(logits.device)
    visible = age >= 0
    if layer.window > 0:
        visible &= age < layer.window
    return logits.masked_fill(~visible, float("-inf")).softmax(-1)


PROJECTIONS = ("o_proj", "out_proj", "dense", "wo")


def projection_of(module: torch.nn.Module) -> torch.nn.Linear | None:
    found = (getattr(module, name, None) for name in PROJECTIONS)
    return next((projection for projection in found if isinstance(projection, torch.nn.Linear)), None)


def output_projection(layer: int, attention: LayerAttention) -> Tensor:
    """W_o [hidden][H_q * d], which turns the heads' outputs into the attention block's; of a reading."""
    without = "--no-output-projection captures without (the suite then has no output error)"
    projection = projection_of(attention.module)
    heads = attention.q.shape[0] * attention.q.shape[2]
    name = f"layer {layer} ({type(attention.module).__name__})"
    if projection is None or projection.in_features != heads:
        raise ToolError(f"{name} has no linear output projection over its heads; {without}")
    if not attention.projects:
        raise ToolError(
            f"{name}: what enters its output projection is not what its heads put out (a gate or a norm lies between), "
            f"so an evicted token's part in the output is not known; {without}"
        )
    return projection.weight.detach().float()


def wov_l1(projection: Tensor, values: Tensor) -> NDArray[np.float32]:
    """CriticalKV's ||W_o[h] v[j]||_1, [H_q][N], of values [H_kv][N][d]."""
    dim = values.shape[-1]
    heads = projection.shape[1] // dim
    group = heads // values.shape[0]
    norms = [
        (values[head // group].float() @ projection[:, head * dim : (head + 1) * dim].T).abs().sum(-1)
        for head in range(heads)
    ]
    stacked: NDArray[np.float32] = torch.stack(norms).cpu().numpy()
    return stacked


def wo_gram(projection: Tensor, dim: int) -> NDArray[np.float64]:
    """W_o[h]^T W_o[h], what the output projection does to lengths: [H_q][d][d]."""
    by_head = doubles(projection).reshape(projection.shape[0], -1, dim).transpose(0, 1)
    gram: NDArray[np.float64] = (by_head.transpose(1, 2) @ by_head).cpu().numpy()
    return gram
