"""SnapKV's scores from libevictlab, times how far the token's value stands out among those of its head."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from evictlab_tools.library import Lab, LayerInput, Scorer


@cache
def snapkv() -> Scorer:
    return Lab().open("snapkv@kvpress")


def score(q: Tensor, k: Tensor, v: Tensor, layer: int, num_layers: int, scale: float) -> NDArray[np.float64]:
    """[KV heads][tokens], higher = keep; q is [query heads][tokens][dim], k and v are [KV heads][tokens][dim]."""
    prompt = LayerInput(
        layer=layer,
        num_layers=num_layers,
        query_heads=q.shape[0],
        q=q.cpu().numpy(),
        k=k.cpu().numpy(),
        v=v.cpu().numpy(),
        softmax_scale=scale,
    )
    away = (v - v.mean(dim=1, keepdim=True)).norm(dim=-1)
    return snapkv().score(prompt) * away.cpu().double().numpy()
