"""Bounds that are measured beside scorers: they know what the continuation will attend."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from evictlab_tools.attention import LayerAttention, doubles
from evictlab_tools.external.scorer import ExternalScorer
from evictlab_tools.library import USUAL, Scorer
from evictlab_tools.shapes import Shape, cut

ORACLE = "oracle"  # per KV head, the prompt tokens that the continuation attends most
LAYER_ORACLE = "oracle (layer budget)"  # the same over all heads of the layer
MODEL_ORACLE = "oracle (model budget)"  # the same over all layers, beside scorers that divide the model's budget
BOUNDS = (ORACLE, LAYER_ORACLE, MODEL_ORACLE)

Cells = NDArray[np.float64]
Kept = NDArray[np.bool_]


def bounds_beside(scorers: Iterable[Scorer | ExternalScorer], shape: Shape = USUAL) -> list[str]:
    """Those that are measured beside these scorers."""
    if shape.granularity != "head":
        return [ORACLE]
    divides_model = any(scorer.needs.model_budgets for scorer in scorers)
    return [bound for bound in BOUNDS if bound != MODEL_ORACLE or divides_model]


def top(scores: NDArray[np.floating], count: int) -> NDArray[np.bool_]:
    """True at the `count` highest of a flat array; of equals, the first."""
    mask = np.zeros(scores.size, np.bool_)
    mask[np.argsort(-scores, kind="stable")[:count]] = True
    return mask


def kept_by_bound(bound: str, cells: Mapping[int, Cells], counts: Sequence[int], shape: Shape) -> dict[int, Kept]:
    """By layer [counts][H_kv][n], of the future attention [H_kv][n] of the layers that are evicted."""
    if bound == MODEL_ORACLE or shape.granularity == "model":
        return _kept_by_model(cells, counts, shape)
    return {number: _kept_by_layer(bound, scores, counts, shape) for number, scores in cells.items()}


def _kept_by_layer(bound: str, scores: Cells, counts: Sequence[int], shape: Shape) -> Kept:
    if bound == LAYER_ORACLE:
        return np.stack([cut(scores, c, shape) for c in counts])
    if shape.granularity == "layer":
        return np.stack([np.repeat(cut(scores.mean(0)[None], c, shape), len(scores), 0) for c in counts])
    return np.stack([np.concatenate([cut(head[None], c, shape) for head in scores]) for c in counts])


def _kept_by_model(by_layer: Mapping[int, Cells], counts: Sequence[int], shape: Shape) -> dict[int, Kept]:
    cells = np.stack(list(by_layer.values()))
    rows = cells.reshape(-1, cells.shape[-1])
    if shape.granularity == "model":
        kept = [np.broadcast_to(cut(rows.mean(0)[None], c, shape), cells.shape) for c in counts]
    else:
        kept = [cut(rows, c, shape).reshape(cells.shape) for c in counts]
    return {number: np.stack([masks[at] for masks in kept]) for at, number in enumerate(by_layer)}


@torch.no_grad()
def future_attention(layer: LayerAttention, prompt: int) -> Cells:
    """[H_kv][n]: the continuation's attention to each prompt token, mean over its queries and the group's heads."""
    heads, tokens, dim = layer.q.shape
    kv_heads = layer.k.shape[0]
    queries = layer.q[:, prompt:].reshape(kv_heads, -1, dim)  # the group's heads one after another
    logits = layer.scale * (queries @ layer.k.float().transpose(1, 2))
    position = torch.arange(tokens, device=logits.device)
    age = position[prompt:, None] - position[None, :]
    seen = (age >= 0) & (age < layer.window) if layer.window > 0 else age >= 0
    logits.masked_fill_(~seen.repeat(heads // kv_heads, 1)[None], float("-inf"))
    mean: Cells = doubles(logits.softmax(-1)[..., :prompt]).mean(1).cpu().numpy()
    return mean
