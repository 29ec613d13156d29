"""Bytes and time a token of the same prompt in different caches.

The caches take turns, a token each, so that whatever else the machine does falls on all of them alike; what is compared
is the time of one cache with that of the full one in the same turn.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass
from statistics import median
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

from evictlab_tools.memory.noted import Clock, Prompt
from evictlab_tools.memory.result import FULL, MASKED, RAGGED, UNIFORM, Row
from evictlab_tools.press import gathered
from evictlab_tools.prompt.cache import CompressedCache
from evictlab_tools.ragged import RaggedCache
from evictlab_tools.ragged.cache import bytes_of

WARM_UP = 4  # turns that count for nothing


@dataclass
class Running:
    cache: Any
    name: str
    retention: float
    kept: Mapping[int, Tensor]  # by layer; what else is there is whole
    held: int = 0  # bytes

    @property
    def share(self) -> float:
        masks = list(self.kept.values())
        return sum(float(mask.sum()) for mask in masks) / sum(mask.numel() for mask in masks) if masks else 1.0


def clock_of(device: torch.device) -> Clock:
    """Of this process's processors; of another device by the wall, once it is done."""
    if device.type == "cpu":
        return time.process_time

    def done() -> float:
        torch.accelerator.synchronize(device)
        return time.perf_counter()

    return done


def caches(model: Any, prompt: Prompt, retentions: Sequence[float]) -> list[Running]:
    uneven, uniform = prompt.kept
    result = [Running(prompt.cache, FULL, 1.0, {})]
    for at, retention in enumerate(retentions):
        result += [
            Running(_copied(prompt.cache), MASKED, retention, uneven[at]),  # kvpress writes into the keys that it hides
            Running(RaggedCache.of(prompt.cache, uneven[at]), RAGGED, retention, uneven[at]),
            Running(_cut(model, prompt.cache, uniform[at]), UNIFORM, retention, uniform[at]),
        ]
    for running in result:
        running.held = sum(bytes_of(layer) for layer in running.cache.layers)
    return result


def _copied(cache: DynamicCache) -> DynamicCache:
    found = copy(cache)
    found.layers = [copy(layer) for layer in cache.layers]
    for layer in found.layers:
        layer.keys, layer.values = layer.keys.clone(), layer.values.clone()
    return found


def _cut(model: Any, cache: DynamicCache, kept: Mapping[int, Tensor]) -> CompressedCache:
    """As presses leave it that keep as many in every head."""
    found = CompressedCache()
    found.kinds = tuple(map(str, getattr(model.config.get_text_config(), "layer_types", None) or ()))
    found.layers, found.removed = [copy(layer) for layer in cache.layers], {}
    for number, mask in kept.items():
        layer: DynamicLayer = found.layers[number]
        tokens = layer.keys.shape[2]
        layer.keys, layer.values = gathered(layer.keys, layer.values, mask.to(layer.keys.device))
        found.removed[number] = tokens - layer.keys.shape[2]
    return found


@contextmanager
def _hiding(model: Any, running: Running) -> Iterator[None]:
    """Masks as kvpress does, where that is the cache's way."""
    modules = {layer.self_attn.layer_idx: layer.self_attn for layer in _text_model(model).layers}
    hidden = running.kept if running.name == MASKED else {}
    for number, module in modules.items():
        mask = hidden.get(number)
        module.masked_key_indices = None if mask is None else (~mask).nonzero(as_tuple=True)
    yield
    for module in modules.values():
        module.masked_key_indices = None


def _text_model(model: Any) -> Any:
    return getattr(model.model, "language_model", model.model)


@torch.inference_mode()
def measure(model: Any, runnings: Sequence[Running], tokens: Tensor, first: int, clock: Clock) -> list[Row]:
    """`tokens` [1][steps] follow a prompt of `first`, one after another, in every cache in turn."""
    turns: list[list[float]] = []
    for step in range(tokens.shape[1]):
        turn = []
        for running in runnings:
            positions = torch.tensor([[first + step]], device=tokens.device)
            with _hiding(model, running):
                begun = clock()
                model(
                    input_ids=tokens[:, step : step + 1],
                    position_ids=positions,
                    past_key_values=running.cache,
                    logits_to_keep=1,
                )
                turn.append(clock() - begun)
        turns.append(turn)
    counted = turns[min(WARM_UP, len(turns) - 1) :]
    return [
        Row(
            running.name,
            running.retention,
            running.share,
            running.held,
            1e3 * median(turn[at] for turn in counted),
            median(turn[at] / turn[0] for turn in counted),
        )
        for at, running in enumerate(runnings)
    ]
