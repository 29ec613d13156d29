"""LU-KV's table: which share of its tokens each head should lose when a share of all the model's cells goes.

Its authors do not say how theirs is fitted. Ours: each head keeps its tokens in the order of the base's scores. What
the next one adds to the attention of the text's continuation, made to fall from token to token, ranks all cells of all
the trace's layers together; what of each head is among the lowest is its share.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

import numpy as np

from evictlab_tools.calibrate.statistics import Sample
from evictlab_tools.calibration import Doubles

ROWS = 99  # of removed shares 0.01, 0.02, ...
SINKS = 4  # that LU-KV protects


def received(sample: Sample, prompt: int, sliding_window: int) -> Doubles:
    """[H_kv][prompt]: what the continuation's queries give to the prompt's tokens on average, mean of the group."""
    heads, tokens, _ = sample.q.shape
    kv_heads = sample.k.shape[0]
    queries = np.arange(prompt, tokens)[:, None]
    distance = queries - np.arange(tokens)
    seen = (distance >= 0) & ((distance < sliding_window) if sliding_window > 0 else True)
    found = np.zeros((kv_heads, prompt))
    for head in range(heads):
        group = head * kv_heads // heads
        logits = sample.q[head, prompt:].astype(np.float64) @ sample.k[group].astype(np.float64).T
        logits = np.where(seen, logits * sample.softmax_scale, -np.inf)
        weights = np.exp(logits - logits.max(-1, keepdims=True))
        weights /= weights.sum(-1, keepdims=True)
        found[group] += weights[:, :prompt].mean(0) * kv_heads / heads
    return found


def falling(values: Doubles) -> Doubles:
    """[n]: the nearest values that never rise; runs that rise have their mean (pool adjacent violators)."""
    means: list[float] = []
    lengths: list[int] = []
    for value in values.tolist():
        mean, length = value, 1
        while means and means[-1] < mean:
            mean = (means[-1] * lengths[-1] + mean * length) / (lengths[-1] + length)
            length += lengths.pop()
            means.pop()
        means.append(mean)
        lengths.append(length)
    return np.repeat(means, lengths)


def gains(attention: Doubles, scores: Doubles) -> Doubles:
    """[H_kv][n]: what a head's first, second, ... token by its scores adds, LU-KV's sinks and last token before all."""
    ranked = scores.copy()
    ranked[:, :SINKS] = ranked[:, -1:] = np.inf
    order = np.argsort(-ranked, axis=-1, kind="stable")
    return np.stack([falling(head[places]) for head, places in zip(attention, order, strict=True)])


def removed_shares(cells: Doubles) -> Doubles:
    """[ROWS][...]: of cells [...][n], ranked all together, the share of each n that goes; ties by the place."""
    order = np.argsort(cells, axis=None, kind="stable")
    rank = np.empty(order.size, np.int64)
    rank[order] = np.arange(order.size)
    ranks = np.sort(rank.reshape(cells.shape), -1)
    goes = [int((row + 1) / (ROWS + 1) * order.size) for row in range(ROWS)]
    return np.stack([np.count_nonzero(ranks < count, -1) / cells.shape[-1] for count in goes])


def lukv_table(texts: Sequence[Mapping[int, Doubles]], layers: Sequence[int]) -> Doubles:
    """[ROWS][held][H_kv]: the mean over the texts that hold the layer, each of which has cells by layer."""
    tables: dict[int, list[Doubles]] = {layer: [] for layer in layers}
    for text in texts:
        of_text = sorted(text)
        shares = removed_shares(np.stack([text[layer] for layer in of_text]))
        for place, layer in enumerate(of_text):
            tables[layer].append(shares[:, place])
    return cast("Doubles", np.stack([np.mean(tables[layer], 0) for layer in layers], 1))
