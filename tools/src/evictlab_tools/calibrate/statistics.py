"""What a layer's queries and keys are like in general, over several texts."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np

from evictlab_tools.calibration import Doubles, HeldLayer
from evictlab_tools.trace_file import Floats, TraceFile

POSITIONS = 500  # at which DuoAttention's mean query and mean keys are put


@dataclass(frozen=True)
class Sample:
    """One layer of one text: queries [H_q][n][d] and keys [H_kv][n][d] after RoPE, of half-split pairs."""

    q: Floats
    k: Floats
    v: Floats  # [H_kv][n][d]
    rope_inv_freq: Doubles  # [d / 2]
    rope_scale: float
    softmax_scale: float


def read_sample(trace: TraceFile, layer: int) -> Sample:
    scale = f"layers.{layer}.rope_scale"
    return Sample(
        q=trace.floats(f"layers.{layer}.q"),
        k=trace.floats(f"layers.{layer}.k"),
        v=trace.floats(f"layers.{layer}.v"),
        rope_inv_freq=trace.floats(f"layers.{layer}.rope_inv_freq").astype(np.float64),
        rope_scale=float(trace.floats(scale).ravel()[0]) if scale in trace.names else 1.0,
        softmax_scale=float(trace.metadata["softmax_scale"]),
    )


def _turned(x: Doubles, angles: Doubles, factor: float) -> Doubles:
    """[...][n][d] by RoPE's angles [n][d / 2]."""
    half = x.shape[-1] // 2
    cosine, sine = np.cos(angles) * factor, np.sin(angles) * factor
    first, second = x[..., :half], x[..., half:]
    return cast("Doubles", np.concatenate([first * cosine - second * sine, second * cosine + first * sine], -1))


def before_rope(x: Floats, sample: Sample) -> Doubles:
    """[heads][n][d] at positions 0, 1, ... as they were before RoPE."""
    angles = np.arange(x.shape[1])[:, None] * sample.rope_inv_freq
    return _turned(x.astype(np.float64), -angles, 1 / sample.rope_scale)


def query_axis(samples: Sequence[Sample]) -> Doubles:
    """[H_kv][d]: Q-Filters' directions, by all queries of all texts: against the queries of the group's heads.

    The first right singular vector of the stacked queries is the first eigenvector of their Gram matrix.
    """
    heads, _, dim = samples[0].q.shape
    axes = np.empty((heads, dim))
    for head in range(heads):
        gram = np.zeros((dim, dim))
        for sample in samples:
            q = sample.q[head].astype(np.float64)
            gram += q.T @ q
        axis = np.linalg.eigh(gram)[1][:, -1]
        above = sum(int(np.count_nonzero(sample.q[head].astype(np.float64) @ axis > 0)) for sample in samples)
        total = sum(sample.q.shape[1] for sample in samples)
        axes[head] = -axis if 2 * above > total else axis
    return _group_means(axes, samples[0])


def layer_of(samples: Sequence[Sample]) -> HeldLayer:
    turned_back = [before_rope(sample.q, sample) for sample in samples]
    half = turned_back[0].shape[-1] // 2
    q = np.concatenate(turned_back, 1)
    return HeldLayer(query_axis(samples), q.mean(1), np.hypot(q[..., :half], q[..., half:]).mean(1))


def duo_attention(samples: Sequence[Sample]) -> Doubles:
    """[H_kv]: DuoAttention's head scores as kvpress computes them on the fly; low: a head of recent tokens."""
    return cast("Doubles", np.mean([_duo_attention(sample) for sample in samples], 0))


def _duo_attention(sample: Sample) -> Doubles:
    q, k = before_rope(sample.q, sample).mean(1), before_rope(sample.k, sample).mean(1)  # [heads][d]
    angles = np.arange(POSITIONS)[:, None] * sample.rope_inv_freq
    query = _turned(q[:, None], angles[-1:], sample.rope_scale)  # [H_q][1][d]
    keys = _turned(np.repeat(k[:, None], POSITIONS, 1), angles, sample.rope_scale)
    keys = np.repeat(keys, len(q) // len(k), 0)  # [H_q][POSITIONS][d]
    logits = (keys @ query.transpose(0, 2, 1))[..., 0] * sample.softmax_scale
    weights = np.exp(logits - logits.max(-1, keepdims=True))
    weights /= weights.sum(-1, keepdims=True)
    return _group_means(np.cumsum(weights, -1).mean(-1), sample)


def _group_means(values: Doubles, sample: Sample) -> Doubles:
    """Of query heads' values, of each KV head's group."""
    kv_heads = sample.k.shape[0]
    return cast("Doubles", values.reshape(kv_heads, -1, *values.shape[1:]).mean(1))
