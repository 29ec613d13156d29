"""Attention over heads that hold different numbers of tokens.

A layer of a RaggedCache gives the model keys that hold nothing but say which cells to attend to. The attention
functions of transformers' registry are told of such keys, and do with all others what they did; whatever else touches
such keys is refused, so that a model whose attention knows nothing of them cannot go on with wrong ones.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import functional
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from evictlab_tools.attention import UNSUPPORTED, refusal
from evictlab_tools.errors import ToolError
from evictlab_tools.ragged.cells import Cells, Segment

TOLD = ("sdpa", "flash_attention_2", "flash_attention_3")  # attention that is computed here where keys are ragged
WORKS = 'models loaded with attn_implementation="sdpa" work, those of docs/models.md that presses take'


class RaggedKeys(Tensor):
    """Stands for the keys (or values) of a layer [B][H_kv][tokens seen][d], and holds none of them."""

    cells: Cells
    seen: int  # tokens of the text, those included that are new

    allowed: ClassVar[tuple[Any, ...]] = ()  # to be asked: what a tensor is, but nothing of what it holds

    @staticmethod
    def of(cells: Cells, like: Tensor, seen: int) -> RaggedKeys:
        size = (*like.shape[:2], seen, like.shape[3])
        found: RaggedKeys = torch.Tensor._make_wrapper_subclass(RaggedKeys, size, dtype=like.dtype, device=like.device)
        found.cells, found.seen = cells, seen
        return found

    @classmethod
    def __torch_function__(
        cls, func: Any, types: Sequence[Any], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        if func in cls.allowed:
            with torch._C.DisableTorchFunctionSubclass():
                return func(*args, **(kwargs or {}))
        name = getattr(func, "__name__", str(func))
        raise ToolError(
            f"the keys and values of a ragged cache went to {name}, which knows nothing of heads that hold different "
            f"numbers of tokens: this model's attention is another one; {WORKS}"
        )

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]
        cls, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        return cls.__torch_function__(func, types)


RaggedKeys.allowed = (
    Tensor.shape.__get__,  # type: ignore[attr-defined]
    Tensor.dtype.__get__,  # type: ignore[attr-defined]
    Tensor.device.__get__,
    Tensor.ndim.__get__,  # type: ignore[attr-defined]
    Tensor.requires_grad.__get__,  # type: ignore[attr-defined]
    Tensor.is_cuda.__get__,  # type: ignore[attr-defined]
    Tensor.size,
    Tensor.dim,
    Tensor.__repr__,
)


def tell_attention_functions() -> None:
    """Of ragged keys, once. They do with all other keys what they did."""
    for name in TOLD:
        function = ALL_ATTENTION_FUNCTIONS.get(name)
        if function is not None and not hasattr(function, "takes_ragged_keys"):
            ALL_ATTENTION_FUNCTIONS[name] = _told(function)


def _told(function: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(function)
    def attention(
        module: torch.nn.Module,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        attention_mask: Any,
        dropout: float = 0.0,
        **options: Any,
    ) -> Any:
        if not isinstance(key, RaggedKeys):
            return function(module, query, key, value, attention_mask, dropout, **options)
        _check(module, attention_mask, dropout, options)
        return _attend(key, query, attention_mask, options.get("scaling"), options.get("sliding_window") or 0), None

    attention.takes_ragged_keys = True  # type: ignore[attr-defined]
    return attention


def _check(module: torch.nn.Module, mask: Any, dropout: float, options: Mapping[str, Any]) -> None:
    layer = getattr(module, "layer_idx", "?")
    for option, what in UNSUPPORTED.items():
        if options.get(option) is not None:
            raise refusal(layer, module, f"it uses {what}, which attention over a ragged cache does not have")
    if dropout:
        raise refusal(layer, module, "it drops attention at random (training), which a cache is not for")
    if mask is None or (isinstance(mask, Tensor) and mask.ndim == 4 and mask.shape[1] == 1):
        return
    if isinstance(mask, Tensor) and mask.ndim == 2 and bool((mask != 0).all()):
        return
    raise refusal(layer, module, "its attention mask hides tokens in a way that a ragged cache cannot read")


def _attend(keys: RaggedKeys, query: Tensor, mask: Tensor | None, scale: float | None, window: int) -> Tensor:
    """[B][m][H_q][d] of queries [B][H_q][m][d], those of the newest tokens."""
    cells = keys.cells
    batch, heads, tokens, dim = query.shape
    group = batch * heads // cells.rows
    rows = query.reshape(cells.rows, group, tokens, dim)
    if tokens == 1:  # the group's heads are the queries of one head
        rows = rows.transpose(1, 2)
    shown = None if mask is None or mask.ndim != 4 else mask.expand(batch, -1, -1, -1)[:, 0]
    outputs = []
    asked = rows.split_with_sizes([segment.rows for segment in cells.segments])
    for segment, queries in zip(cells.segments, asked, strict=True):
        k, v = cells.view(segment, cells.keys), cells.view(segment, cells.values)
        if tokens > 1:
            k, v = k.expand(-1, group, -1, -1), v.expand(-1, group, -1, -1)
        bias = _bias(keys, segment, tokens, shown, window)
        outputs.append(functional.scaled_dot_product_attention(queries, k, v, attn_mask=bias, scale=scale))
    whole = outputs[0] if len(outputs) == 1 else torch.cat(outputs)
    return whole.reshape(batch, heads, tokens, -1).transpose(1, 2).contiguous()


def _bias(keys: RaggedKeys, segment: Segment, tokens: int, shown: Tensor | None, window: int) -> Tensor | None:
    """What the queries see, [rows or 1][1][m][count], as scaled_dot_product_attention takes it; None: everything.

    `shown` [B][m][tokens seen] is the model's own mask, of which each row's cells have their columns.
    """
    cells, seen = keys.cells, keys.seen
    if shown is not None:
        positions = cells.view(segment, cells.positions)[:, 0, :, 0].long()
        of_head = cells.rows // shown.shape[0]
        sequences = [row // of_head for row in range(segment.first, segment.first + segment.rows)]
        return torch.stack([shown[b][:, at] for b, at in zip(sequences, positions, strict=True)])[:, None]
    hides = window > 0 and seen > window
    if tokens == 1 and not hides:
        return None
    positions = cells.view(segment, cells.positions)[:, 0, :, 0]
    age = torch.arange(seen - tokens, seen, device=positions.device)[:, None] - positions[:, None, :]
    return ((age >= 0) & (age < window) if hides else age >= 0)[:, None]
