"""LU-KV's table: which share of its tokens each head should lose when a share of all the model's cells goes.

Its authors do not say how theirs is fitted. Ours: the attention that the continuation of each text gives to the
prompt's tokens ranks all cells of all the trace's layers together; what of each head is among the lowest is its share.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

import numpy as np

from evictlab_tools.calibrate.statistics import Sample
from evictlab_tools.calibration import Doubles

ROWS = 99  # of removed shares 0.01, 0.02, ...


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
