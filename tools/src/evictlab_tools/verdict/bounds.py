"""Bounds that are measured beside scorers: they know what the continuation will attend."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from evictlab_tools.attention import LayerAttention, doubles
from evictlab_tools.cuts import oracle_keeps
from evictlab_tools.external.scorer import ExternalScorer
from evictlab_tools.library import USUAL, Scorer
from evictlab_tools.shapes import Shape

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


def kept_by_bound(bound: str, cells: Mapping[int, Cells], counts: Sequence[int], shape: Shape) -> dict[int, Kept]:
    """By layer [counts][H_kv][n], of the future attention [H_kv][n] of the layers that are evicted."""
    together = bound in (LAYER_ORACLE, MODEL_ORACLE)
    if bound != MODEL_ORACLE and shape.granularity != "model":
        return {number: _kept(scores, counts, shape, together) for number, scores in cells.items()}
    kept = _kept(np.concatenate(list(cells.values())), counts, shape, together)
    by_layer = np.split(kept, len(cells), axis=1)
    return dict(zip(cells, by_layer, strict=True))


def _kept(rows: Cells, counts: Sequence[int], shape: Shape, together: bool) -> Kept:
    """[counts][rows][n]."""
    return np.stack([oracle_keeps(rows, count, shape, together=together) for count in counts])


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
